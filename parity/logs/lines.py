"""Bytes of a log → the lines of each run in it, free of what loggers put before them.

Prefixes: none, "INFO:" and its like, logcat's formats time, threadtime, brief and tag, Python's
logging, glog and Apple's NSLog.
"""

import codecs
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LONGEST = 2000  # characters; no line of a benchmark comes near, a binary file's may have millions
_DATE = r"(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?"
_PREFIXES = [
    (name, re.compile(pattern, re.ASCII))
    for name, pattern in (
        ("time", rf"(?:{_DATE} +)?(?P<level>[VDIWEF])/[^(]{{0,64}}\( *(?P<process>\d+)\): ?"),
        (
            "threadtime",
            rf"{_DATE} +(?:[\w.]+ +)?(?P<process>\d+) +\d+ (?P<level>[VDIWEF]) [^:]{{0,64}}: ?",
        ),
        ("tag", r"(?P<level>[VDIWEF])[ /][\w.-]{1,64} *: "),
        ("python", rf"{_DATE} (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]{{1,64}}: "),
        ("nslog", rf"{_DATE}(?:[+-]\d{{4}})? [\w .-]{{1,64}}\[\d+:\d+\] "),
        ("glog", r"(?P<level>[IWEF])\d{4} [\d:.]+ +\d+ [\w./\\-]{1,200}:\d+\] "),
        ("level", r"(?P<level>VERBOSE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL): ?"),
        ("source", r"\[[\w./\\-]{1,200}:\d+\] ?"),
    )
]
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# What a tool prints once, and early; a second time it is another run.
_BEGINNING = re.compile(
    r"(STARTING!|Log parameter values verbosely:|Graph: \[|Loading model from:|Model:  "
    r"|Model file not found:)"
)
_SUMMARY = re.compile(r"(Inference timings in us:|Benchmarking failed|Inference \(avg\):)")
_NEXT = re.compile(r"(count=\d|Running benchmark for at least|Inference timings in us:)")


@dataclass(frozen=True)
class Line:
    """One line: its message, the logger's level ("I", "W", "E", …; "" where none), the process
    that logcat names, and the kinds of prefix it had.
    """

    message: str
    level: str
    process: str
    style: str

    @property
    def is_error(self) -> bool:
        """Whether the logger called it an error or worse."""
        return self.level in ("E", "F", "C")


def decode(content: bytes) -> str:
    """The text of a log file in any encoding; what is no text becomes replacement characters.

    A PowerShell redirection writes UTF-16, with or without its mark.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    head = content[:4096]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 3 and zeros.count(0) > 0.8 * len(zeros):
            return content.decode(encoding, errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def runs_in(text: str) -> Iterator[list[Line]]:
    """The lines of each run, in order of appearance; lines of no run are left out.

    Runs that logcat interleaves are told apart by their processes.
    """
    by_process: dict[str, list[Line]] = defaultdict(list)
    for raw in text.split("\n"):
        line = parse(raw)
        if line.message:
            by_process[line.process].append(line)
    for lines in by_process.values():
        yield from _runs(lines)


def parse(raw: str) -> Line:
    """A raw line without its prefixes."""
    message = _COLOUR.sub("", raw[:_LONGEST]).replace("\0", "").strip()
    level, process, styles = "", "", []
    matched = True
    while matched:
        matched = False
        for style, pattern in _PREFIXES:
            if found := pattern.match(message):
                said = found.groupdict()
                level = (said.get("level") or level)[:1]
                process = said.get("process") or process
                styles.append(style)
                message, matched = message[found.end() :].strip(), True
                break
    return Line(message, level, process, "+".join(styles))


def _runs(lines: Iterable[Line]) -> Iterator[list[Line]]:
    run: list[Line] = []
    printed: dict[str, Counter[str]] = defaultdict(Counter)
    begun: set[str] = set()
    is_over = False
    for line in lines:
        beginning = _BEGINNING.match(line.message)
        is_next = is_over and (beginning or _NEXT.match(line.message))
        if _is_echo(line, printed[line.message]) and not (is_over and beginning):
            printed[line.message][line.style] += 1
            continue
        if is_next or (beginning and beginning[1] in begun):
            if begun or is_over:
                yield run
            run, begun, is_over = [], set(), False
            printed.clear()
        run.append(line)
        printed[line.message][line.style] += 1
        if beginning:
            begun.add(beginning[1])
        is_over = is_over or bool(_SUMMARY.match(line.message))
    if begun or is_over:
        yield run


def _is_echo(line: Line, printed: Counter[str]) -> bool:
    """Whether the line repeats one that had another prefix: iOS prints to two places at once."""
    others = [times for style, times in printed.items() if style != line.style]
    return max(others, default=0) > printed[line.style]
