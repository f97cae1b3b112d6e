"""The status of annotation as tables for the terminal."""

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from annotation.status import Agreed, JobStatus, Status

_STATES = {"completed": "green", "rejected": "red", "in progress": "yellow", "returned": "green"}


def render(status: Status) -> Group:
    """One table of batches and jobs, one of annotators, and a line that sums up."""
    summary = Text(f"{status.reviewed} of {status.images} images reviewed by people")
    if status.note:
        summary.append(f"\n{status.note}", style="yellow")
    return Group(_batches(status), _annotators(status), summary)


def _batches(status: Status) -> Table:
    table = Table(title="Batches and their jobs", title_justify="left")
    for heading in ("batch", "job", "kind", "stage", "state", "annotator"):
        table.add_column(heading)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("", width=12)
    table.add_column("NME (95 %)", justify="right", no_wrap=True)
    for batch in status.batches:
        table.add_row(
            batch.batch_id,
            *("", "", ""),
            _state(batch.state),
            "",
            f"{batch.reviewed}/{batch.images}",
            _bar(batch.reviewed, batch.images),
            "",
        )
        for job in batch.jobs:
            table.add_row("", *_cells(job))
    return table


def _cells(job: JobStatus) -> tuple[str | Text | ProgressBar, ...]:
    return (
        job.job_id,
        job.kind.replace("_", " "),
        job.stage,
        _state(job.state),
        job.annotator or "nobody",
        f"{job.done}/{job.images}",
        _bar(job.done, job.images),
        _worded(job.agreement),
    )


def _annotators(status: Status) -> Table:
    table = Table(title="Annotators", title_justify="left")
    table.add_column("annotator")
    table.add_column("images", justify="right")
    table.add_column("NME (95 %)", justify="right", no_wrap=True)
    for one in status.annotators:
        table.add_row(one.annotator, str(one.labelled), _worded(one.agreement))
    return table


def _state(state: str) -> Text:
    return Text(state, style=_STATES.get(state, ""))


def _bar(done: int, of: int) -> ProgressBar:
    return ProgressBar(total=max(of, 1), completed=done, width=12)


def _worded(agreed: Agreed | None) -> str:
    return "" if agreed is None else f"{agreed.nme:.4f} ({agreed.low:.4f} – {agreed.high:.4f})"
