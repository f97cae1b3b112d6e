"""What a running step tells the person who waits: a bar on a terminal, nothing otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


class Bar:
    """One line of progress; `to` moves it. Silent where nobody watches."""

    def __init__(self, progress: Progress | None, title: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total) if progress else None

    def to(self, completed: int, total: int | None = None) -> None:
        """Move the bar to `completed`, of `total` where that is known by now."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=completed, total=total)

    def step(self, _: object = None) -> None:
        """Move the bar by one; takes and ignores what a callback is told."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)


class _Rate(ProgressColumn):
    """How many a second, of late."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s", style="progress.data.speed")


@contextmanager
def watched(is_shown: bool = True) -> Iterator[None]:
    """Show the bars of everything done inside, on stderr, where that is a terminal."""
    console = Console(stderr=True)
    if not (is_shown and console.is_terminal):
        yield
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        token = _current.set(progress)
        try:
            yield
        finally:
            _current.reset(token)


def bar(title: str, total: int | None = None) -> Bar:
    """A new line of progress for one step."""
    return Bar(_current.get(), title, total)
