"""Orders of erasures: one certificate for each that was carried out, and what is due by time."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.asked import Asked, images_of
from flows.by_products import erase_by_products
from flows.certificates import close, read_order
from flows.cli import app
from flows.erase import dry_run, order
from flows.serving.approval import audit_file
from mirrorset.elsewhere import note
from mirrorset.erasure import Certificate, Gone, Removed
from mirrorset.errors import InputError
from mirrorset.records import Evidence, ImageRecord, Licence, Sighting, utc_now
from mirrorset.workspace import Workspace, init

OLD, OLDER, NEW = (letter * 64 for letter in "abc")
DUE = Asked(is_due=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One whose images are kept for ten days."""
    made = init(tmp_path / "home")
    params = made.params_file.read_text()
    made.params_file.write_text(
        params.replace("responsible: {}", "responsible: {retention_days: 10}")
    )
    return made


def see(workspace: Workspace, image_id: str, days_ago: int) -> None:
    image = ImageRecord(
        image_id=image_id,
        media_type="image/jpeg",
        size_bytes=10,
        width_px=400,
        height_px=300,
        pixel_hash=image_id,
        phash="0" * 16,
    )
    sighting = Sighting(
        image_id=image_id,
        source="gallery",
        source_item_id=image_id[:4],
        page_url=f"https://example.org/{image_id[:4]}",
        image_url=f"https://example.org/{image_id[:4]}.jpg",
        licence=Licence(code="CC-BY", version="4.0"),
        author="Ada",
        evidence=Evidence(licence_read_from="x", licence_text="CC BY", crawler="mirrorset/0"),
        seen_at=utc_now() - timedelta(days=days_ago),
    )
    with workspace.catalogue() as catalogue:
        catalogue.upsert([image, sighting])


def end(workspace: Workspace, erasure_id: str) -> None:
    """As the flow does."""
    begun = read_order(workspace.private, erasure_id)
    assert begun is not None
    certificate = Certificate(
        erasure_id=erasure_id,
        asked=begun.asked,
        began_at=begun.began_at,
        ended_at=utc_now(),
        images=begun.image_ids,
        removed=(),
        withdrawn=(),
        unreached=(),
    )
    close(workspace.private, certificate)


def test_each_erasure_of_one_request_has_its_certificate(workspace: Workspace) -> None:
    see(workspace, NEW, 1)
    assert order(workspace.home, DUE) is None
    assert dry_run(workspace.home, DUE).images == ()
    see(workspace, OLD, 11)
    first = order(workspace.home, DUE)
    assert first is not None
    see(workspace, OLDER, 12)
    assert order(workspace.home, DUE) == first, "what is under way goes on"
    begun = read_order(workspace.private, first)
    assert begun is not None
    assert begun.image_ids == (OLD, OLDER)
    end(workspace, first)
    second = order(workspace.home, DUE)
    assert second not in (None, first)
    assert len(list((workspace.private / "erasures").glob("certificate-*.json"))) == 1


def test_nothing_that_is_due_is_no_error(workspace: Workspace) -> None:
    for more in ([], ["--dry-run"]):
        ended = CliRunner().invoke(app, ["erase", "--due", "--home", str(workspace.home), *more])
        assert ended.exit_code == 0, ended.output
    with pytest.raises(InputError, match="nothing was erased"):
        order(workspace.home, Asked(author="Nobody"))


def test_an_author_is_found_however_the_name_is_written(workspace: Workspace) -> None:
    see(workspace, NEW, 1)
    with workspace.catalogue() as catalogue:
        everything = images_of(workspace, catalogue, Asked(author="Ada"))
        assert everything
        assert images_of(workspace, catalogue, Asked(author="  aDA\t")) == everything
        assert not images_of(workspace, catalogue, Asked(author="A da"))


def test_reasons_of_decisions_lose_what_names_an_image(workspace: Workspace) -> None:
    see(workspace, NEW, 1)
    file = audit_file(workspace)
    file.parent.mkdir(parents=True)
    lines = [
        f'{{"by":"Eve","reason":"{NEW} is fine, and https://example.org/cccc by Ada Lovelace"}}\n',
        '{"by":"Eve","reason":"all fine"}\n',
    ]
    file.write_text("".join(lines))
    gone = Gone(
        frozenset({NEW}),
        addresses=frozenset({"https://example.org/cccc"}),
        authors=frozenset({"Ada Lovelace"}),
    )
    found = Removed(place="approvals", name="decisions.jsonl", count=1)
    assert erase_by_products(workspace, gone, [], is_dry_run=True) == ([found], [])
    assert file.read_text() == "".join(lines)
    assert erase_by_products(workspace, gone, []) == ([found], [])
    first, second = map(json.loads, file.read_text().splitlines())
    assert first["by"] == "Eve"
    assert set(first["reason"]) == set("* is fine, and by")
    assert second["reason"] == "all fine"
    assert erase_by_products(workspace, gone, []) == ([], [])


def test_a_page_of_parity_that_was_made_elsewhere_goes_and_nothing_beside_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    page, beside = tmp_path / "comparison.html", tmp_path / "comparison" / "run.json"
    beside.parent.mkdir()
    beside.write_text("{}")
    page.write_text(f'<li data-image="{NEW}">')
    note(workspace.home, page)
    assert erase_by_products(workspace, Gone(frozenset({OLD})), []) == ([], [])
    found = Removed(place="reports", name="comparison.html", count=1)
    assert erase_by_products(workspace, Gone(frozenset({NEW})), []) == ([found], [])
    assert not page.exists()
    assert beside.exists()


def test_only_authors_of_nothing_else_are_looked_for(workspace: Workspace) -> None:
    see(workspace, OLD, 1)
    erasure_id = order(workspace.home, Asked(images=(OLD,)))
    assert erasure_id is not None
    begun = read_order(workspace.private, erasure_id)
    assert begun is not None
    assert begun.gone.authors == {"Ada"}
    see(workspace, NEW, 1)
    see(workspace, OLDER, 1)
    erasure_id = order(workspace.home, Asked(images=(OLDER,)))
    assert erasure_id is not None
    begun = read_order(workspace.private, erasure_id)
    assert begun is not None
    assert begun.gone.authors == set()
