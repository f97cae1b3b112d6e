"""Progress and agreement of batches and jobs, as numbers and as a table."""

import io
from datetime import UTC, datetime

from rich.console import Console

from annotation.agreement import AgreementRow
from annotation.status import Status, status_of
from annotation.status_table import render
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


def test_the_table_shows_it() -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render(known()))
    text = console.export_text()
    for word in ("b1", "11", "in progress", "nobody", "2/4", "0.0200 (0.0100 – 0.0400)"):
        assert word in text
    assert "2 of 4 images reviewed by people" in text
    assert "Jobs are as the last pull found them." in text
