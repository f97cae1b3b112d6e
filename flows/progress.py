"""How far a running step is: a bar on a terminal, and what a deployment's run shows elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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

from mirrorset.terminal import Terminal

#: Is told a bar's title, how much is done, and of how much.
Tell = Callable[[str, int, int], None]

_current: ContextVar[Progress | None] = ContextVar("progress", default=None)
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


class Bar:
    """One line of progress; `to` moves it. Silent where nobody watches."""

    def __init__(
        self, progress: Progress | None, tell: Tell | None, title: str, total: int | None
    ) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total) if progress else None
        self._tell = tell
        self._title = title
        self._completed = 0
        self._total = total

    def to(self, completed: int, total: int | None = None) -> None:
        """Move the bar to `completed`, of `total` where that is known by now."""
        self._completed = completed
        self._total = self._total if total is None else total
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=completed, total=total)
        if self._tell is not None and self._total:
            self._tell(self._title, completed, self._total)

    def step(self, _: object = None) -> None:
        """Move the bar by one; takes and ignores what a callback is told."""
        self.to(self._completed + 1)


class _Rate(ProgressColumn):
    """How many a second, of late."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s", style="progress.data.speed")


@contextmanager
def watched(is_shown: bool = True) -> Iterator[None]:
    """Show the bars of everything done inside, on stderr, where that is a terminal."""
    console = Terminal(stderr=True)
    if not (is_shown and console.is_terminal):
        yield
        return
    columns = (
        TextColumn("{task.description:<12}", markup=False),
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


@contextmanager
def told(tell: Tell) -> Iterator[None]:
    """Tell of the bars of everything done inside."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


def bar(title: str, total: int | None = None) -> Bar:
    """A new line of progress for one step."""
    return Bar(_current.get(), _tell.get(), title, total)
