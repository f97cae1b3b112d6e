import contextlib
import json
import os
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers.items import Candidate
from crawlers.source import Answer, Ask
from crawlers.sources.folder import Folder, FolderStart
from crawlers.terms import Terms
from mirrorset.errors import InputError
from mirrorset.records import Reason, Rejected

HEADER = "file,consent_id,licence,author\n"
NOTHING = Answer(url="")


def write(root: Path, *rows: str, **files: bytes | str) -> None:
    if rows:
        (root / "consent.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def walk(path: Path | str) -> dict[str, Candidate | Rejected]:
    """Items by id, each ask read by a new process."""
    start = FolderStart(path=str(path))
    waiting, items = list(Folder(start, Terms()).begin()), {}
    while waiting:
        ask = Ask.model_validate_json(waiting.pop(0).model_dump_json())
        for found in Folder(start, Terms()).read(ask, NOTHING):
            if isinstance(found, Ask):
                waiting.append(found)
            else:
                items[found.item_id.removeprefix("folder:")] = found
    return items


def again(path: Path | str, item: str) -> Candidate | Rejected:
    source = Folder(FolderStart(path=str(path)), Terms())
    (found,) = source.read(source.recheck(item, "", ""), NOTHING)
    assert not isinstance(found, Ask)
    assert found.item_id == f"folder:{item}"
    return found


@pytest.fixture
def described(tmp_path: Path):
    """The item of a picture whose rows of consent.csv say this of the people in it."""

    def item(*people: str, **files: str) -> Candidate | Rejected:
        (tmp_path / "consent.csv").write_text(
            "file,consent_id,licence,subject_id,age_band,tone\n"
            + "".join(f"a.jpg,C-1,consented,{one}\n" for one in people)
        )
        write(tmp_path, **{"a.jpg": b"picture"}, **files)
        return walk(tmp_path)["a.jpg"]

    return item


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (("p-7,30-44,dark",), (("p-7",), "30-44", "dark")),
        ((",,",), ((), None, None)),
        # Of several people only what is said of all of them alike.
        (("p-7,30-44,dark", "p-2,30-44,light"), (("p-2", "p-7"), "30-44", None)),
        (("p-7,30-44,dark", "p-7,,dark"), (("p-7",), None, "dark")),
    ],
)
def test_what_is_said_of_people_comes_with_their_picture(described, people, said) -> None:
    item = described(*people)
    assert isinstance(item, Candidate)
    assert (item.subject_ids, item.age_band, item.tone) == said


def test_who_is_said_to_be_a_minor_is_refused(described) -> None:
    reason, detail = refused(described("p-7,12-17,dark", "p-2,30-44,dark"))
    assert reason == Reason.MINOR_DOUBT
    assert "“12-17” is none of 18-29, 30-44, 45-59, 60+" in detail


def test_a_tone_that_is_none_is_named(described) -> None:
    with pytest.raises(InputError, match=r"a\.jpg: tone “pink” is none of light, medium, dark"):
        described("p-7,,pink")


def test_a_sidecar_decides_of_people_too(described) -> None:
    item = described("p-7,30-44,", **{"a.json": '{"age_band": "60+", "tone": "light"}'})
    assert isinstance(item, Candidate)
    assert (item.subject_ids, item.age_band, item.tone) == (("p-7",), "60+", "light")


def refused(item: Candidate | Rejected) -> tuple[Reason, str]:
    assert isinstance(item, Rejected)
    return item.reason, item.detail


def test_a_capture_brings_its_consent(tmp_path: Path) -> None:
    write(tmp_path, "day 1/ada.jpg,C-1,CC BY 4.0,Studio", **{"day 1/ada.jpg": b"picture"})
    item = walk(tmp_path)["day 1/ada.jpg"]
    assert isinstance(item, Candidate)
    assert item.permit is not None
    assert item.permit.licence.code == "CC-BY"
    assert item.permit.statement.read_from == "consent.csv:consent_id=C-1"
    assert (item.author, item.page_url) == ("Studio", "")
    assert item.image_url == f"file://{tmp_path}/day 1/ada.jpg"
    with fsspec.open(item.image_url) as opened:
        assert opened.read() == b"picture"


def test_consent_without_a_public_licence_is_understood(tmp_path: Path) -> None:
    write(tmp_path, "ada.jpg,C-1,consented,", **{"ada.jpg": b""})
    item = walk(tmp_path)["ada.jpg"]
    assert isinstance(item, Candidate)
    assert item.permit is not None
    assert item.permit.licence.code == "CONSENT"


def test_a_bucket_is_a_folder() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/studio/consent.csv", f"{HEADER}a/ada.png,C-1,CC0,\n".encode())
    memory.pipe_file("/studio/a/ada.png", b"picture")
    item = walk("memory://studio")["a/ada.png"]
    assert isinstance(item, Candidate)
    assert item.image_url == "memory:///studio/a/ada.png"


def test_a_sidecar_decides_for_its_picture(tmp_path: Path) -> None:
    sidecar = json.dumps({"licence": "CC BY-SA 4.0", "author": "Ada"})
    write(
        tmp_path,
        "d/ada.jpg,C-1,CC BY 4.0,Studio",
        "d/bo.jpg,C-2,CC BY 4.0,Studio",
        **{"d/ada.jpg": b"", "d/ada.json": sidecar, "d/bo.jpg": b""},
    )
    items = walk(tmp_path)
    ada, bo = items["d/ada.jpg"], items["d/bo.jpg"]
    assert isinstance(ada, Candidate)
    assert isinstance(bo, Candidate)
    assert ada.permit is not None
    assert ada.permit.licence.code == "CC-BY-SA"
    assert ada.permit.statement.read_from == "ada.json:consent_id=C-1"
    assert (ada.author, bo.author) == ("Ada", "Studio")


def test_sidecars_alone_are_enough(tmp_path: Path) -> None:
    write(tmp_path, **{"ada.jpg": b"", "ada.json": '{"consent_id": 7, "licence": "CC0"}'})
    item = walk(tmp_path)["ada.jpg"]
    assert isinstance(item, Candidate)
    assert item.permit is not None
    assert item.permit.statement.read_from == "ada.json:consent_id=7"


def test_everybody_in_a_picture_must_agree(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.jpg,C-1,CC0,",
        "a.jpg,C-2,CC BY-ND 4.0,",
        "b.jpg,C-1,CC0,",
        "b.jpg,,CC0,",
        "c.jpg,C-1,CC0,",
        "c.jpg,C-2,,",
        **{"a.jpg": b"", "b.jpg": b"", "c.jpg": b""},
    )
    items = walk(tmp_path)
    assert refused(items["a.jpg"])[0] is Reason.NO_DERIVATIVES
    assert refused(items["b.jpg"])[0] is Reason.LICENCE_MISSING
    assert refused(items["c.jpg"])[0] is Reason.LICENCE_MISSING


@pytest.mark.parametrize(
    ("row", "sidecar", "reason", "said"),
    [
        ("other.jpg,C-1,CC0,", "{}", Reason.LICENCE_MISSING, "No consent"),
        ("ada.jpg,,CC0,", "{}", Reason.LICENCE_MISSING, "No consent"),
        ("ada.jpg,C-1,CC0,", '{"consent_id": ""}', Reason.LICENCE_MISSING, "No consent"),
        ("ada.jpg,C-1,CC0,", '{"consent_id": null}', Reason.LICENCE_MISSING, "No consent"),
        ("ada.jpg,C-1,,", "{}", Reason.LICENCE_MISSING, "No licence"),
        ("ada.jpg,C-1,ask Ada,", "{}", Reason.LICENCE_UNKNOWN, "ask Ada"),
        ("ada.jpg,C-1,CC BY-ND 4.0,", "{}", Reason.NO_DERIVATIVES, "C-1"),
        ("ada.jpg,C-1,CC0,", "{", Reason.LICENCE_MISSING, "ada.json"),
        ("ada.jpg,C-1,CC0,", "[]", Reason.LICENCE_MISSING, "ada.json"),
        ("ada.jpg,C-1,CC0,", "[" * 99_000, Reason.LICENCE_MISSING, "ada.json"),
        ("ada.jpg,C-1,CC0,", '"' + "x" * 200_000 + '"', Reason.LICENCE_MISSING, "ada.json"),
    ],
)
def test_captures_that_are_not_taken(
    tmp_path: Path, row: str, sidecar: str, reason: Reason, said: str
) -> None:
    write(tmp_path, row, **{"ada.jpg": b"", "ada.json": sidecar})
    item = walk(tmp_path)["ada.jpg"]
    assert refused(item)[0] is reason
    assert said in refused(item)[1]


@pytest.mark.parametrize("path", ["../ada.jpg", "/etc/ada.jpg", "a/../../ada.jpg", "", "."])
def test_a_row_may_not_lead_out_of_the_folder(tmp_path: Path, path: str) -> None:
    root = tmp_path / "captures"
    root.mkdir()
    write(tmp_path, **{"ada.jpg": b""})
    write(root, f"{path},C-1,CC0,")
    items = walk(root)
    assert list(items) == ["consent.csv#1"]
    assert refused(items["consent.csv#1"])[0] is Reason.NOT_AN_IMAGE


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "captures", tmp_path / "outside"
    write(tmp_path, **{"outside/ada.jpg": b"", "captures/bo.jpg": b"", "captures/bo.png": b""})
    (root / "ada.jpg").symlink_to(outside / "ada.jpg")
    (root / "folder").symlink_to(outside)
    (root / "round").symlink_to(root)
    (root / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "bo.json").symlink_to(outside / "ada.jpg")
    write(root, *(f"{name},C-1,CC0," for name in ("ada.jpg", "folder/ada.jpg", "bo.jpg")))
    items = walk(root)
    for name in ("ada.jpg", "folder", "round", "gone.jpg"):
        assert "link" in refused(items[name])[1]
    assert refused(items["bo.jpg"])[0] is Reason.LICENCE_MISSING
    assert len(items) == 6


def test_what_is_hidden_is_left_out_and_what_is_no_picture_refused(tmp_path: Path) -> None:
    names = (".ada.jpg", ".git/ada.jpg", "notes.md", "ada.heic", "ada.json", "x/bo.JPG", "a::b.jpg")
    write(tmp_path, "x/bo.JPG,C-1,CC0,", **dict.fromkeys(names, b"{}"))
    os.mkfifo(tmp_path / "pipe.jpg")
    items = walk(tmp_path)
    assert isinstance(items.pop("x/bo.JPG"), Candidate)
    assert set(items) == {"notes.md", "ada.heic", "a::b.jpg", "pipe.jpg"}
    assert {refused(item)[0] for item in items.values()} == {Reason.NOT_AN_IMAGE}


def test_a_name_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"ad\xffa.jpg")).write_bytes(b"")
    (tmp_path / "two\nlines.jpg").write_bytes(b"")
    items = walk(tmp_path)
    assert set(items) == {"ada.jpg", "two lines.jpg"}
    assert all("rename it" in refused(item)[1] for item in items.values())


def test_a_changed_file_has_another_version(tmp_path: Path) -> None:
    write(tmp_path, "ada.jpg,C-1,CC0,", **{"ada.jpg": b"1"})

    def version() -> str:
        item = walk(tmp_path)["ada.jpg"]
        assert isinstance(item, Candidate)
        return item.version

    before = version()
    assert before == version()
    os.utime(tmp_path / "ada.jpg", (1, 1))
    assert version() == "1-1.0" != before


def test_a_consent_that_is_withdrawn_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "d/ada.jpg,C-1,CC0,", **{"d/ada.jpg": b"1"})
    assert again(tmp_path, "d/ada.jpg") == walk(tmp_path)["d/ada.jpg"]
    write(tmp_path, "d/bo.jpg,C-1,CC0,")
    assert refused(again(tmp_path, "d/ada.jpg"))[0] is Reason.LICENCE_MISSING
    (tmp_path / "d/ada.jpg").unlink()
    assert refused(again(tmp_path, "d/ada.jpg"))[0] is Reason.HTTP_ERROR


@pytest.mark.parametrize(
    ("content", "said"),
    [("path,consent_id\n", "no column “file”"), ('file\n"' + "x" * 200_000, "consent.csv")],
)
def test_consents_that_cannot_be_read_are_said_so(tmp_path: Path, content: str, said: str) -> None:
    write(tmp_path, **{"consent.csv": content, "ada.jpg": b""})
    with pytest.raises(InputError, match=said):
        walk(tmp_path)


def test_an_absent_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        walk(tmp_path / "captures")
    write(tmp_path, **{"ada.jpg": b""})
    with pytest.raises(InputError, match="does not exist"):
        walk(tmp_path / "ada.jpg")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(consents=st.binary(max_size=100), sidecar=st.binary(max_size=100))
def test_any_bytes_are_an_outcome_or_an_input_error(
    tmp_path: Path, consents: bytes, sidecar: bytes
) -> None:
    content = HEADER.encode() + b"ada.jpg,C-1,CC0," + consents
    write(tmp_path, **{"consent.csv": content, "ada.jpg": b"", "ada.json": sidecar})
    with contextlib.suppress(InputError):
        assert "ada.jpg" in walk(tmp_path)
