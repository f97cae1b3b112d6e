"""People's names stay in one file; those who look on tell people apart all the same."""

from pathlib import Path

from annotation.pseudonyms import Pseudonyms


def test_who_looks_on_tells_new_people_apart_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "annotators.json"
    looking_on = Pseudonyms(file).reading_only()
    seen = [looking_on.of(name) for name in ("ann", "bob", "ann", "")]
    assert seen == ["annotator (new 1)", "annotator (new 2)", "annotator (new 1)", "annotator"]
    assert not file.exists()


def test_whoever_has_a_pseudonym_keeps_it_for_those_who_look_on(tmp_path: Path) -> None:
    pseudonyms = Pseudonyms(tmp_path / "annotators.json")
    looking_on = pseudonyms.reading_only()
    assert looking_on.of("ann") == "annotator (new 1)"
    assert [pseudonyms.of(name) for name in ("bob", "ann")] == ["annotator-1", "annotator-2"]
    assert [looking_on.of(name) for name in ("bob", "ann", "eve")] == [
        *("annotator-1", "annotator-2", "annotator (new 2)")
    ]
