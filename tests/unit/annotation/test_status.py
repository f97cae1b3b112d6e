"""Progress and agreement of batches and jobs, as numbers and as a table."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from annotation.agreement import AgreementRow
from annotation.status import Agreed, AnnotatorStatus, BatchStatus, JobStatus, Status, status_of
from annotation.status_table import render, screen
from mirrorset.catalogue.looks import Look
from mirrorset.records import AnnotationJob, Batch

IDS = tuple(f"{number:064x}" for number in range(4))
BATCH = Batch(
    batch_id="b1",
    image_ids=IDS,
    schema_version="selfie-3",
    server="https://cvat.example.org",
    project="1",
    task="7",
    state="pushed",
)


def job(job_id: str, images: tuple[str, ...], state: str, who: str) -> AnnotationJob:
    return AnnotationJob(
        batch_id="b1",
        job_id=job_id,
        kind="annotation",
        image_ids=images,
        stage="annotation",
        state=state,
        annotator=who,
        updated_at=datetime(2026, 11, 29, tzinfo=UTC),
    )


def agreed(against: str, axis: str, name: str, value: float, label: str = "ibug68") -> AgreementRow:
    return AgreementRow(
        against=against,
        axis=axis,
        name=name,
        label=label,
        measure="nme",
        value=value,
        low=value / 2,
        high=value * 2,
        images=3,
    )


def known() -> Status:
    return status_of(
        [BATCH],
        [job("11", IDS[:2], "completed", "annotator-1"), job("12", IDS[2:], "in progress", "")],
        [
            Look(IDS[0], "human", "annotator-1", "7", "11"),
            Look(IDS[1], "human", "annotator-1", "7", "11"),
            Look(IDS[2], "replica", "annotator-2", "7", "13"),
        ],
        [
            agreed("replica", "job", "11", 0.5),
            agreed("gold", "job", "11", 0.02),
            agreed("gold", "job", "11", 0.9, label="ibug68.jaw"),
            agreed("honeypot", "annotator", "annotator-1", 0.03),
        ],
        "ibug68",
        note="Jobs are as the last pull found them.",
    )


def test_nothing_is_out() -> None:
    status = status_of([], [], [], [], "ibug68")
    assert (status.batches, status.annotators, status.images, status.reviewed) == ((), (), 0, 0)


def test_a_replica_is_no_review_and_gold_says_more_than_others() -> None:
    status = known()
    (batch,) = status.batches
    assert (status.images, status.reviewed, batch.reviewed) == (4, 2, 2)
    first, second = batch.jobs
    assert (first.done, first.images, second.done) == (2, 2, 0)
    assert (first.agreement.nme, second.agreement) == (0.02, None)
    one, two = status.annotators
    assert (one.annotator, one.labelled, one.agreement.nme) == ("annotator-1", 2, 0.03)
    assert (two.annotator, two.labelled, two.agreement) == ("annotator-2", 1, None)


AGREED = Agreed(nme=0.0213, low=0.0101, high=0.0402, images=30)
AWAY = "Jobs are as they were at 09:00:00 UTC: https://cvat.example.org cannot be reached."


def batch_of(number: int, jobs: int, state: str) -> BatchStatus:
    """A batch with jobs of all kinds, each cell as long as it gets."""
    kinds = (
        ("annotation", "annotation", "in progress"),
        ("replica", "validation", "completed"),
        ("ground_truth", "acceptance", "completed"),
    )
    return BatchStatus(
        batch_id=f"{number:016x}",
        server="https://cvat.example.org",
        task=str(number),
        state=state,
        images=120,
        reviewed=37,
        jobs=tuple(
            JobStatus(
                job_id=str(1000 + 100 * number + at),
                kind=kinds[at % 3][0],
                stage=kinds[at % 3][1],
                state=kinds[at % 3][2],
                annotator=f"annotator-{1 + at % 12}",
                images=120,
                done=100,
                agreement=AGREED,
            )
            for at in range(jobs)
        ),
    )


def status_with(jobs_of_batches: list[int], annotators: int) -> Status:
    """The first batch is finished, the others are not."""
    return Status(
        batches=tuple(
            batch_of(number, jobs, "pushed" if number else "returned")
            for number, jobs in enumerate(jobs_of_batches)
        ),
        annotators=tuple(
            AnnotatorStatus(annotator=f"annotator-{1 + at}", labelled=400, agreement=AGREED)
            for at in range(annotators)
        ),
        images=240,
        reviewed=74,
        note=AWAY,
    )


def terminal(width: int, height: int = 24) -> Console:
    return Console(width=width, height=height, force_terminal=True, file=io.StringIO())


def lines_of(console: Console, part: object) -> list[str]:
    lines = console.render_lines(part, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def all_pages(console: Console, status: Status) -> list[list[str]]:
    """Every page once, in turn."""
    first = lines_of(console, screen(status, console, 0))
    pages = [first]
    while (page := lines_of(console, screen(status, console, len(pages)))) != first:
        pages.append(page)
    return pages


def words_of(pages: list[list[str]]) -> list[str]:
    return [word for page in pages for line in page for word in line.split()]


def test_in_80_columns_ids_states_and_annotators_are_whole_and_a_job_is_one_line() -> None:
    console = terminal(80)
    lines = lines_of(console, render(status_with([12], 2), console))
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    rows = [line.split() for line in lines]
    assert ["1000", "annotation", "in", "progress", "annotator-1", "100/120", "0.0213"] in rows
    row = ["1011", "ground", "truth", "acceptance", "completed", "annotator-12"]
    assert [*row, "100/120", "0.0213"] in rows
    assert ["0" * 16, "returned", "37/120"] in rows
    assert AWAY in " ".join(lines[-2:])


def test_a_wide_terminal_shows_intervals_and_bars_too() -> None:
    console = terminal(140, 60)
    lines = lines_of(console, render(status_with([3], 1), console))
    row = next(line for line in lines if "1002" in line)
    assert row.split()[:5] == ["1002", "ground", "truth", "acceptance", "completed"]
    assert "━" in row
    assert row.endswith("0.0213 (0.0101 – 0.0402)")


@pytest.mark.parametrize(
    ("jobs", "annotators"), [([5, 5, 5], 2), ([2] * 30, 30), ([60], 1), ([0, 3], 0)]
)
@pytest.mark.parametrize("width", [80, 140])
def test_pages_fit_24_lines_and_between_them_show_everything(
    jobs: list[int], annotators: int, width: int
) -> None:
    status = status_with(jobs, annotators)
    pages = all_pages(terminal(width), status)
    for number, page in enumerate(pages, start=1):
        assert len(page) < 24
        assert page[0] == "74 of 240 images reviewed by people"
        assert AWAY in " ".join(page[1:3])
        if len(pages) > 1:
            assert any(line.startswith(f"Page {number} of {len(pages)},") for line in page)
    words = words_of(pages)
    for batch in status.batches:
        assert batch.batch_id in words
        assert all(words.count(job.job_id) == 1 for job in batch.jobs)
    rows = [line.split()[:2] for page in pages for line in page if line]
    assert all(rows.count([one.annotator, "400"]) == 1 for one in status.annotators)


def test_what_is_finished_comes_last() -> None:
    words = words_of(all_pages(terminal(80), status_with([5, 5, 5], 2)))
    first, *others = (f"{number:016x}" for number in range(3))
    assert all(words.index(first) > words.index(other) for other in others)


def test_a_batch_longer_than_a_page_goes_on_under_its_id() -> None:
    pages = all_pages(terminal(80), status_with([60], 0))
    assert len(pages) > 2
    assert all("0" * 16 in words_of([page]) for page in pages)


def test_all_of_it_is_one_screen_where_the_window_is_high_enough() -> None:
    (page,) = all_pages(terminal(80, 60), status_with([5, 5, 5], 2))
    assert not any(line.startswith("Page") for line in page)


def test_nothing_that_is_out_is_a_screen_too() -> None:
    console = terminal(80)
    nothing = status_of([], [], [], [], "ibug68")
    assert lines_of(console, screen(nothing, console)) == ["0 of 0 images reviewed by people"]


def test_a_pipe_gets_plain_text() -> None:
    console = Console(width=140, file=io.StringIO())
    console.print(render(status_with([5], 2), console))
    text = console.file.getvalue()
    assert "annotator-2" in text
    assert "\x1b" not in text


def test_the_table_shows_it() -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render(known(), console))
    text = console.export_text()
    for word in ("b1", "11", "in progress", "nobody", "2/4", "0.0200 (0.0100 – 0.0400)"):
        assert word in text
    assert "2 of 4 images reviewed by people" in text
    assert "Jobs are as the last pull found them." in text
