"""Lines of JSON that runs and their children write."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorset import logs
from mirrorset.masking import hide

_CHILD = """
import logging
from mirrorset.logs import inherit
inherit()
for number in range(200):
    logging.getLogger("crawlers.child").info("line %d of %s", number, "x" * 500)
"""

_CONTAINER = """
import logging, sys
from pathlib import Path
from mirrorset import logs
with logs.written(Path(sys.argv[1]), "stderr", "run-4", "crawl"):
    logging.getLogger("flows.x").info("Hello.")
"""

_WORKER = """
import logging, subprocess, sys
from threading import Thread
from mirrorset import logs

def work(told, line):
    with logs.joined(told):
        logging.getLogger("annotation.worker").info(line)

threads = [Thread(target=work, args=(told, told[-3])) for told in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with logs.joined(sys.argv[2]):
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


def _lines(folder: Path) -> list[dict[str, object]]:
    text = "".join(file.read_text() for file in reversed(logs.log_files(folder)))
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_says_when_where_and_of_which_run_and_image(tmp_path: Path) -> None:
    image_id = "ab" * 32
    with logs.written(tmp_path, "file", "run-1", "crawl"):
        logging.getLogger("crawlers.x").info("Image %s\nis kept.", image_id)
        with logs.at_step("store"):
            logging.getLogger("mirrorset.y").warning("Nobody is named.")
    logging.getLogger("crawlers.x").info("After the run.")
    first, second = _lines(tmp_path)
    assert (first["run"], first["step"], first["image_id"]) == ("run-1", "crawl", image_id)
    assert (first["level"], first["logger"]) == ("INFO", "crawlers.x")
    assert str(first["time"]).endswith("Z")
    assert first["host"]
    assert first["pid"]
    assert (second["run"], second["step"], second["image_id"]) == ("run-1", "store", None)


def test_a_worker_elsewhere_takes_part_in_the_run(tmp_path: Path) -> None:
    told = []
    for number in (1, 2):
        with (
            logs.written(tmp_path, "file", f"run-{number}", "prelabel"),
            logs.at_step(f"s-{number}"),
        ):
            told.append(logs.handed_on())
    done = subprocess.run(
        [sys.executable, "-c", _WORKER, _CHILD, *told], capture_output=True, text=True, check=True
    )
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert sorted((one["run"], one["step"], one["message"]) for one in said) == [
        ("run-1", "s-1", "1"),
        ("run-2", "s-2", "2"),
    ]
    # Its children write to the file.
    lines = _lines(tmp_path)
    assert len(lines) == 200
    assert {(line["run"], line["step"]) for line in lines} == {("run-1", "s-1")}


def test_children_write_whole_lines_of_the_same_run(tmp_path: Path) -> None:
    with logs.written(tmp_path, "file", "run-2", "crawl"):
        children = [subprocess.Popen([sys.executable, "-c", _CHILD]) for _ in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
    lines = _lines(tmp_path)
    assert len(lines) == 600
    assert {line["run"] for line in lines} == {"run-2"}
    assert {line["pid"] for line in lines} == {child.pid for child in children}


def test_the_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LARGEST_BYTES", 2000)
    with logs.written(tmp_path, "file", "run-3", "crawl"):
        for number in range(200):
            logging.getLogger("flows.x").info("line %d", number)
    assert len(logs.log_files(tmp_path)) == 5
    assert sum(file.stat().st_size for file in logs.log_files(tmp_path)) < 15_000
    assert _lines(tmp_path)[-1]["message"] == "line 199"


def test_a_container_gets_them_on_stderr(tmp_path: Path) -> None:
    # In a process of its own: other tests leave handlers that write to stderr here.
    done = subprocess.run(
        [sys.executable, "-c", _CONTAINER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr)["message"] == "Hello."
    assert not logs.log_files(tmp_path)


def test_no_secret_is_written_also_not_in_tracebacks(tmp_path: Path) -> None:
    hide("planted-secret")
    with logs.written(tmp_path, "file", "run-5", "crawl"):
        try:
            raise ValueError("refused planted-secret")
        except ValueError:
            logging.getLogger("flows.x").exception("With %s in hand.", "planted-secret")
    (text,) = [file.read_text() for file in logs.log_files(tmp_path)]
    assert "ValueError" in text
    assert "planted-secret" not in text


def test_a_plain_line_is_masked_with_its_traceback() -> None:
    hide("told-secret")
    try:
        raise ValueError("told-secret")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "at api_key=%s", ("0123",), info)
    line = logs.MaskedFormatter("%(message)s").format(record)
    assert line.startswith("at api_key=***")
    assert "ValueError: ***" in line
