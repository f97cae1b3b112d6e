"""Who is in quarantine, who may decide what, and what is never listed."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import quarantine
from flows.cli import app
from flows.overview import overview
from flows.prelabel import doubted, remove_intimate
from flows.snapshot import write_kind
from mirrorset.catalogue import Catalogue
from mirrorset.commands import git
from mirrorset.errors import InputError, MirrorsetError, SettingsError
from mirrorset.files import read_parts
from mirrorset.records import (
    Annotation,
    Decision,
    Evidence,
    Face,
    ImageRecord,
    Licence,
    Provenance,
    Quarantine,
    Reason,
    Record,
    Rejected,
    Sighting,
    Verdict,
    utc_now,
)
from mirrorset.workspace import Workspace, open_workspace

DOUBTED, GONE, STOPPED, NUDE, FINE, LATE = (letter * 64 for letter in "abcdef")
AGO = timedelta(days=5)


def image(image_id: str, labelled_at: datetime, **failed: bool) -> list[Record]:
    """An image that was seen and labelled, and has these verdicts."""
    name = image_id[:4]
    return [
        ImageRecord(
            image_id=image_id,
            media_type="image/jpeg",
            size_bytes=10,
            width_px=400,
            height_px=300,
            pixel_hash=image_id,
            phash="0" * 16,
        ),
        Sighting(
            image_id=image_id,
            source="gallery",
            source_item_id=name,
            page_url=f"https://example.org/{name}",
            image_url=f"https://example.org/{name}.jpg",
            licence=Licence(code="CC-BY", version="4.0"),
            author="Ada",
            evidence=Evidence(licence_read_from="x", licence_text="CC BY", crawler="mirrorset/0"),
            seen_at=labelled_at,
        ),
        Annotation(
            image_id=image_id,
            faces=(Face(face_id="0", box=(0, 0, 9, 9), score=0.9),),
            origin="model",
            by="research",
            schema_version="1",
            made_at=labelled_at,
        ),
        *(Verdict(image_id=image_id, check=check, passed=ok) for check, ok in failed.items()),
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Six images: a possible minor, one whose page is gone, one that an annotator stopped, an
    intimate one that was labelled before, one in no doubt, and a doubt of 40 days ago.
    """
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_text("dataset: {name: faces}\n")
    now = utc_now()
    with open_workspace(tmp_path).catalogue() as catalogue:
        catalogue.upsert(
            [
                *image(DOUBTED, now - AGO, adult=False),
                *image(GONE, now - AGO, adult=True),
                *image(STOPPED, now - AGO, adult=False, not_stopped=False),
                *image(NUDE, now - AGO, adult=False, intimate=False),
                *image(FINE, now - AGO, adult=True),
                *image(LATE, now - 8 * AGO, adult=False),
                Rejected(item_id=NUDE, step="prelabel", reason=Reason.INTIMATE),
                Quarantine(
                    image_id=GONE,
                    source="gallery",
                    source_item_id=GONE[:4],
                    reason=Reason.GONE,
                    detail="The page answers 404.",
                    since=now - 2 * AGO,
                    expires_at=now + AGO,
                ),
            ]
        )
    return tmp_path


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return open_workspace(home)


def catalogue(home: Path) -> Catalogue:
    return open_workspace(home).catalogue()


def run(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["quarantine", *arguments, "--home", str(home)])
    if isinstance(result.exception, MirrorsetError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_says_why_since_when_and_where(home: Path) -> None:
    found = json.loads(run(home, "list", "--json"))
    held = {one["image_id"]: one for one in found["held"]}
    assert list(held) == [LATE, GONE, DOUBTED, STOPPED]
    assert (held[DOUBTED]["gate"], held[DOUBTED]["why"]) == (
        "adult",
        "somebody in it may be a minor",
    )
    assert held[DOUBTED]["seen"] == [
        {
            "source": "gallery",
            "where": "https://example.org/aaaa",
            "author": "Ada",
            "licence": "CC-BY 4.0",
        }
    ]
    assert (held[GONE]["gate"], held[GONE]["why"]) == ("licence", "gone: The page answers 404.")
    assert held[STOPPED]["why"] == "an annotator has stopped it"
    assert [one for one in held if held[one]["is_due_for_erasure"]] == [LATE]
    assert found["due_for_erasure"] == [LATE]
    git(home, "init", "--quiet")
    now = overview(home)
    assert (now.quarantined, now.erasure_due) == (len(held), 1)


def test_an_intimate_picture_is_not_listed_and_cannot_be_found_there(home: Path) -> None:
    for arguments in (["list"], ["list", "--json"]):
        shown = run(home, *arguments)
        assert NUDE not in shown
        assert NUDE[:4] not in shown
    with pytest.raises(InputError, match="not in quarantine"):
        quarantine.release(home, NUDE, "Jane Doe", "adult")
    with pytest.raises(InputError, match="not in quarantine"):
        quarantine.drop(home, NUDE, "Jane Doe", "x")


def test_a_release_is_recorded_and_ends_the_doubt_for_good(home: Path) -> None:
    shown = run(home, "release", DOUBTED[:8], "--by", "Jane  Doe", "--reason", "born\n1906")
    assert "Jane Doe" in shown
    with catalogue(home) as opened:
        (decision,) = opened.read(Decision)
        assert (decision.gate, decision.action) == ("adult", "release")
        assert (decision.by, decision.reason) == ("Jane Doe", "born 1906")
        # Labelled again, the machine doubts again.
        opened.upsert(image(DOUBTED, utc_now(), adult=False))
        assert DOUBTED not in doubted(opened)
    assert DOUBTED not in {one.image_id for one in quarantine.listed(home).held}
    with pytest.raises(InputError, match="nothing to release"):
        quarantine.release(home, DOUBTED, "Jane Doe", "again")


def test_an_annotators_later_stop_counts_against_a_release(home: Path) -> None:
    quarantine.release(home, DOUBTED, "Jane Doe", "born 1906")
    with catalogue(home) as opened:
        opened.upsert([Verdict(image_id=DOUBTED, check="not_stopped", passed=False)])
    held = {one.image_id: one for one in quarantine.listed(home).held}
    assert held[DOUBTED].why == "an annotator has stopped it"


def test_a_drop_is_final(home: Path) -> None:
    quarantine.release(home, DOUBTED, "Jane Doe", "born 1906")
    (decision,) = quarantine.drop(home, DOUBTED, "John Doe", "asked to be removed")
    assert (decision.gate, decision.action) == ("adult", "drop")
    listed = quarantine.listed(home)
    assert DOUBTED not in {one.image_id for one in listed.held}
    assert DOUBTED in listed.due_for_erasure
    for decide in (quarantine.release, quarantine.drop):
        with pytest.raises(InputError, match=r"was dropped on .*: that is final"):
            decide(home, DOUBTED, "Jane Doe", "x")


def test_a_receipt_that_does_not_hold_is_only_dropped(home: Path) -> None:
    with pytest.raises(InputError, match="no person releases that"):
        quarantine.release(home, GONE, "Jane Doe", "I know the photographer")
    (decision,) = quarantine.drop(home, GONE, "Jane Doe", "gone for good")
    assert decision.gate == "licence"


def test_two_doubts_two_decisions(home: Path) -> None:
    with catalogue(home) as opened:
        opened.upsert([Verdict(image_id=GONE, check="adult", passed=False)])
    assert quarantine.release(home, GONE, "Jane Doe", "born 1906").gate == "adult"
    assert [one.gate for one in quarantine.listed(home).held if one.image_id == GONE] == ["licence"]
    gates = [one.gate for one in quarantine.drop(home, GONE, "Jane Doe", "gone for good")]
    assert gates == ["adult", "licence"]


@pytest.mark.parametrize(
    ("image_id", "why"),
    [
        (FINE, "is not in quarantine: there is nothing to release"),
        (STOPPED, "an annotator has stopped it: that is not overruled"),
        (LATE, "due for erasure since .*: it is too late"),
        ("0" * 64, "No image of the catalogue begins with 0"),
        ("xyz", "is no image id"),
    ],
)
def test_what_cannot_be_released_says_why(home: Path, image_id: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refusal:
        quarantine.release(home, image_id, "Jane Doe", "x")
    assert refusal.value.exit_code == 3
    assert "\n" not in str(refusal.value)
    assert quarantine.history(home) == []


@pytest.mark.parametrize(
    ("by", "reason", "option"), [(" ", "x", "--by"), ("Jane", "\n", "--reason")]
)
def test_a_decision_needs_a_name_and_a_reason(
    home: Path, by: str, reason: str, option: str
) -> None:
    for decide in (quarantine.release, quarantine.drop):
        with pytest.raises(SettingsError, match=f"{option} is empty"):
            decide(home, DOUBTED, by, reason)
    with pytest.raises(SettingsError, match="at most 200"):
        quarantine.drop(home, DOUBTED, "J" * 201, "x")


def test_the_history_is_told_in_order(home: Path) -> None:
    assert "Nothing has been decided" in run(home, "history")
    run(home, "release", DOUBTED, "--by", "Jane Doe", "--reason", "born 1906")
    run(home, "drop", STOPPED, "--by", "John Doe", "--reason", "a school")
    run(home, "drop", DOUBTED, "--by", "Jane Doe", "--reason", "asked to be removed")
    told = json.loads(run(home, "history", "--json"))["decisions"]
    assert [(one["image_id"], one["action"]) for one in told] == [
        (DOUBTED, "release"),
        (STOPPED, "drop"),
        (DOUBTED, "drop"),
    ]
    one = run(home, "history", DOUBTED[:8])
    assert one.index("born 1906") < one.index("asked to be removed")
    assert "John Doe" not in one


def test_a_snapshot_tells_what_was_decided_and_not_by_whom(
    workspace: Workspace, home: Path
) -> None:
    quarantine.release(home, DOUBTED, "Jane Doe", "born 1906")
    with workspace.catalogue() as opened:
        write_kind(workspace, "decisions", opened)
    (decision,) = read_parts(workspace.snapshot / "decisions", Decision)
    assert (decision.image_id, decision.action) == (DOUBTED, "release")
    assert (decision.by, decision.reason) == ("", "")


def test_a_snapshot_names_no_annotation_server(workspace: Workspace) -> None:
    made_at = utc_now()
    read_from = Provenance(
        server="https://cvat.example.org",
        task="3",
        job="7",
        stage="acceptance",
        state="completed",
        updated_at=made_at,
    )
    drawn = Annotation(
        image_id=DOUBTED,
        faces=(),
        origin="human",
        by="annotator-1",
        schema_version="1",
        made_at=made_at,
        provenance=read_from,
    )
    with workspace.catalogue() as opened:
        opened.upsert([drawn])
        write_kind(workspace, "annotations", opened)
    shared = read_parts(workspace.snapshot / "annotations", Annotation)
    (same,) = [one for one in shared if one.origin == "human"]
    assert same == drawn.model_copy(update={"provenance": None})


def test_the_stay_is_a_setting(home: Path) -> None:
    (home / "params.yaml").write_text("dataset: {name: faces}\nprelabel: {quarantine_days: 4}\n")
    assert set(quarantine.listed(home).due_for_erasure) == {DOUBTED, STOPPED, LATE}


def test_an_intimate_pictures_bytes_are_removed_and_no_others(workspace: Workspace) -> None:
    nude, fine = (workspace.blobs.put(content) for content in (b"one", b"two"))
    with workspace.catalogue() as opened:
        opened.upsert(image(nude, utc_now(), intimate=False) + image(fine, utc_now(), adult=True))
        for _ in range(2):
            remove_intimate(workspace, opened)
            assert (workspace.blobs.has(nude), workspace.blobs.has(fine)) == (False, True)
