"""The status of annotation as tables for the terminal, whole or a screen at a time."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from annotation.status import Agreed, AnnotatorStatus, BatchStatus, JobStatus, Status

_STATES = {"completed": "green", "rejected": "red", "in progress": "yellow", "returned": "green"}

# From here on intervals and bars have room beside names, stages and states; these always have it.
_WIDE = 110

#: What stays together on a screen: an annotator, or a batch with some of its jobs or all.
_Block = AnnotatorStatus | BatchStatus


def render(status: Status, console: Console) -> Group:
    """All of it for `console`'s width: batches and jobs, annotators, and last what sums up."""
    annotators, batches = _tables(_blocks(status), console)
    return _apart(*batches, *annotators, _summary(status))


def screen(status: Status, console: Console, turn: int = 0) -> Group:
    """What `console` has the height for, what sums up first: all of it, or one of several pages.

    turn: counts on from one screen to the next, which turns the page. Unfinished batches come
    first; a batch that is longer than a page goes on under its own id.
    """
    # Cells fold where it is narrow, so how many rows fit is found by trying.
    for rows in range(console.height, 1, -1):
        pages = _pages(_blocks(status, rows), rows)
        shown = [_page(status, pages, at, console) for at in range(len(pages))]
        # The last line is the cursor's.
        if all(len(console.render_lines(page)) < console.height for page in shown):
            break
    return shown[turn % len(shown)]


def _page(status: Status, pages: Sequence[Sequence[_Block]], at: int, console: Console) -> Group:
    summary = _summary(status)
    if len(pages) > 1:
        summary.append(
            f"\nPage {at + 1} of {len(pages)}, they take turns; a higher window holds more.",
            style="dim",
        )
    annotators, batches = _tables(pages[at], console)
    return _apart(summary, *annotators, *batches)


def _apart(*parts: Table | Text) -> Group:
    """The parts with a blank line between each two."""
    first, *others = parts
    return Group(first, *(line for part in others for line in ("", part)))


def _summary(status: Status) -> Text:
    summary = Text(f"{status.reviewed} of {status.images} images reviewed by people")
    if status.note:
        summary.append(f"\n{status.note}", style="yellow")
    return summary


def _blocks(status: Status, rows: int | None = None) -> list[_Block]:
    """Annotators, then batches, those that are finished last; none of more than `rows` rows."""
    ordered = sorted(status.batches, key=lambda batch: batch.state == "returned")
    return [*status.annotators, *(part for batch in ordered for part in _parts(batch, rows))]


def _parts(batch: BatchStatus, rows: int | None) -> Iterator[BatchStatus]:
    if rows is None or len(batch.jobs) < rows:
        yield batch
        return
    for start in range(0, len(batch.jobs), rows - 1):
        yield batch.model_copy(update={"jobs": batch.jobs[start : start + rows - 1]})


def _pages(blocks: Sequence[_Block], rows: int) -> list[list[_Block]]:
    """The blocks in order, at most `rows` rows together; one empty page where there is none."""
    pages: list[list[_Block]] = [[]]
    left = rows
    for block in blocks:
        needed = 1 + len(block.jobs) if isinstance(block, BatchStatus) else 1
        if needed > left:
            pages.append([])
            left = rows
        pages[-1].append(block)
        left -= needed
    return pages


def _tables(blocks: Sequence[_Block], console: Console) -> tuple[list[Table], list[Table]]:
    """The table of the annotators among the blocks and that of the batches; no empty one."""
    is_wide = console.width >= _WIDE
    annotators = [block for block in blocks if isinstance(block, AnnotatorStatus)]
    batches = [block for block in blocks if isinstance(block, BatchStatus)]
    return (
        [_annotators(annotators)] if annotators else [],
        [_batches(batches, is_wide)] if batches else [],
    )


def _batches(batches: Sequence[BatchStatus], is_wide: bool) -> Table:
    table = _table("batch, its jobs", "stage", "state", "annotator")
    table.add_column("done", justify="right", no_wrap=True)
    if is_wide:
        table.add_column("", width=12)
    table.add_column("NME (95 %)" if is_wide else "NME", justify="right", no_wrap=True)
    for batch in batches:
        progress = _progress(batch.reviewed, batch.images, is_wide)
        table.add_row(batch.batch_id, "", _state(batch.state), "", *progress, "", style="bold")
        for job in batch.jobs:
            table.add_row(*_cells(job, is_wide))
    return table


def _cells(job: JobStatus, is_wide: bool) -> tuple[str | Text | ProgressBar, ...]:
    kind = "" if job.kind == "annotation" else f" {job.kind.replace('_', ' ')}"
    return (
        f"  {job.job_id}{kind}",
        job.stage,
        _state(job.state),
        job.annotator or "nobody",
        *_progress(job.done, job.images, is_wide),
        _worded(job.agreement, is_wide),
    )


def _annotators(annotators: Sequence[AnnotatorStatus]) -> Table:
    table = _table("annotator")
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("NME (95 %)", justify="right", no_wrap=True)
    for one in annotators:
        table.add_row(one.annotator, str(one.labelled), _worded(one.agreement, is_wide=True))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _state(state: str) -> Text:
    return Text(state, style=_STATES.get(state, ""))


def _progress(done: int, of: int, is_wide: bool) -> tuple[str | ProgressBar, ...]:
    bar = ProgressBar(total=max(of, 1), completed=done, width=12)
    return (f"{done}/{of}", bar) if is_wide else (f"{done}/{of}",)


def _worded(agreed: Agreed | None, is_wide: bool) -> str:
    if agreed is None:
        return ""
    if not is_wide or agreed.low is None:
        return f"{agreed.nme:.4f}"
    return f"{agreed.nme:.4f} ({agreed.low:.4f} – {agreed.high:.4f})"
