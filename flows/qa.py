"""QA: how good people's labels are, what may be released of them, and what is looked at again."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from annotation.checks import Finding
from annotation.qa import Assessment, QaParams, QaReport, Suspicious, assess
from annotation.review import ReviewParams
from flows.engine import flow, outside, task
from flows.exchanges import exchange_with, label_schema
from mirrorset.catalogue import Catalogue
from mirrorset.files import write_text
from mirrorset.records import Annotation, Batch, Honeypot, ImageRecord, Record, Sent
from mirrorset.spool import ingest
from mirrorset.workspace import Workspace, open_workspace


class QaSummary(Record):
    """The report, the file that holds it, and how many issues were made of what is suspicious."""

    report: QaReport
    file: str
    issues: dict[str, int]


@flow(name="annotate-qa")
def qa(home: Path, is_reopening: bool = True) -> QaSummary:
    """Judge what people returned, keep the verdicts, and open issues where labels are suspicious.

    is_reopening: False opens none, whatever params.yaml says. The report tells of people, so it
    lies where neither git nor DVC looks.
    """
    workspace = open_workspace(home)
    params = workspace.params("qa", QaParams)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        assessed = judge(workspace, catalogue, params)
        catalogue.upsert(assessed.verdicts)
        issues = {}
        if is_reopening and params.is_reopening:
            pushed = [batch for batch in catalogue.read(Batch) if batch.task]
            issues = reopen(workspace, pushed, assessed.suspicious)
    file = workspace.private / "qa.json"
    write_text(file, assessed.report.model_dump_json(indent=1) + "\n")
    return QaSummary(report=assessed.report, file=str(file), issues=issues)


@task("judge")
def judge(workspace: Workspace, catalogue: Catalogue, params: QaParams) -> Assessment:
    """Look at all labels of one image after another."""
    return assess(
        of_images(catalogue),
        {image.image_id: image for image in catalogue.read(ImageRecord)},
        label_schema(workspace),
        params,
        workspace.params("review", ReviewParams).checks,
        honeypots=catalogue.read(Honeypot),
    )


@outside("reopen")
def reopen(
    workspace: Workspace, batches: list[Batch], suspicious: tuple[Suspicious, ...]
) -> dict[str, int]:
    """Point out in every batch what is suspicious now; how much was done of what.

    What is about labels of a task that has been made anew since is left as it is until those have
    been pulled.
    """
    by_task: dict[tuple[str, str], dict[str, list[Finding]]] = defaultdict(
        lambda: defaultdict(list)
    )
    tasks = {(batch.server, batch.task) for batch in batches}
    left: list[Finding] = []
    for one in suspicious:
        place = one.provenance.server, one.provenance.task
        if place in tasks:
            by_task[place][one.provenance.job].append(one.finding)
        else:
            left.append(one.finding)
    exchanges = {server: exchange_with(workspace, server) for server in {b.server for b in batches}}
    done: Counter[str] = Counter()
    for batch in batches:
        found = by_task[batch.server, batch.task]
        done.update(exchanges[batch.server].point_out(batch, found, left))
    return dict(done)


def of_images(catalogue: Catalogue) -> Iterator[list[Annotation]]:
    """All annotations of one image after another; what went to people instead of what models have
    said since.
    """
    drawn = {(one.batch_id, one.image_id) for one in catalogue.read(Honeypot)}
    sent = (one for one in catalogue.read(Sent) if (one.batch_id, one.image_id) not in drawn)
    following = next(sent, None)
    labels = catalogue.read(Annotation)
    for image_id, of_image in groupby(labels, key=lambda label: label.image_id):
        annotations = list(of_image)
        while following is not None and following.image_id < image_id:
            following = next(sent, None)
        if following is not None and following.image_id == image_id:
            people = [one for one in annotations if one.origin != "model"]
            annotations = [following.annotation, *people]
        yield annotations
