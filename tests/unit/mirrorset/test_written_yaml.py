"""What people write in YAML is read as it stands, or refused with its line."""

from pathlib import Path

import pytest

from mirrorset.errors import SettingsError
from mirrorset.written_yaml import read_yaml


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("select:\n  min_sharpness: 1\n  min_sharpness: 2\n", "'min_sharpness' stands there twice"),
        ("select: {}\ngroup: {}\nselect: {max_faces: 1}\n", "'select' stands there twice"),
        ("select: {min_sharpness: .inf}", ".inf is no number to measure by"),
        ("select: {min_sharpness: -.INF}", "-.INF is no number to measure by"),
        ("select: {min_sharpness: .nan}", ".nan is no number to measure by"),
        ("select: [", "expected the node content"),
        ("select: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("max_faces: " + "9" * 5000, "Exceeds the limit"),
    ],
)
def test_a_fault_is_told_in_one_sentence(tmp_path: Path, text: str, fault: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        read_yaml(path)
    sentence = str(raised.value)
    assert sentence.startswith(f"{path} is not valid YAML: ")
    assert fault in sentence
    assert "\n" not in sentence


def test_a_fault_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 3, column 1"):
        read_yaml(written(tmp_path, "a: 1\nb: 2\na: 3\n"))


def test_bytes_of_another_encoding_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes("name: Müller".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not valid YAML"):
        read_yaml(path)


def test_what_is_nested_too_deeply_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nested too deeply"):
        read_yaml(written(tmp_path, "[" * 20_000))


def test_what_is_right_is_read_as_it_stands(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2.5}\nother: {<<: *base, b: 3}\nnone:\nlist: [{a: 1}, {a: 2}]\n"
    assert read_yaml(written(tmp_path, text)) == {
        "base": {"a": 1, "b": 2.5},
        "other": {"a": 1, "b": 3},
        "none": None,
        "list": [{"a": 1}, {"a": 2}],
    }
