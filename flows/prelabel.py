"""Prelabel: pretrained models label every image of the catalogue that they have not labelled."""

from collections.abc import Sequence
from pathlib import Path

from annotation.batches import ADULT, INTIMATE
from annotation.checks import NOT_STOPPED
from annotation.prelabel import PrelabelParams, prelabel_profile, prelabel_shard
from faces.profiles import Profile
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.catalogue import Catalogue
from mirrorset.decisions import dropped, released
from mirrorset.records import Annotation, Decision, ImageRecord, Record, Rejected, utc_now
from mirrorset.spool import ingest, write_shard
from mirrorset.workspace import Workspace, open_workspace

_STEP = "prelabel"
_IMAGES_A_SHARD = 32


class PrelabelSummary(Record):
    """Counts over the whole catalogue, and how many images this run looked at.

    quarantined: labelled, but in doubt of being adults: they go nowhere from here.
    """

    profile: str
    looked_at: int
    labelled: int
    rejected: dict[str, int]
    quarantined: int


@flow(name="prelabel")
def prelabel(home: Path) -> PrelabelSummary:
    """Label what the profile of params.yaml has not labelled yet, a shard at a time.

    A run that was killed goes on after its last whole shard. Raises IntegrityError or
    UnavailableError where weights cannot be had.
    """
    workspace = open_workspace(home)
    params = workspace.params(_STEP, PrelabelParams)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        # What a killed run had yet to remove, and what a crawl has brought back.
        remove_intimate(workspace, catalogue)
        pending = unlabelled(catalogue, params.profile)
        progress = bar(_STEP, total=len(pending))
        if pending:
            profile = prelabel_profile(params, workspace.settings.models)
            for start in range(0, len(pending), _IMAGES_A_SHARD):
                shard = pending[start : start + _IMAGES_A_SHARD]
                label_shard(workspace, shard, profile, params)
                ingest(workspace.spool, catalogue)
                remove_intimate(workspace, catalogue, shard)
                progress.to(start + len(shard))
        return PrelabelSummary(
            profile=params.profile,
            looked_at=len(pending),
            labelled=catalogue.count(Annotation),
            rejected=dict(catalogue.rejected_by_reason(_STEP)),
            quarantined=len(doubted(catalogue)),
        )


@task(name="label-shard")
def label_shard(
    workspace: Workspace, image_ids: Sequence[str], profile: Profile, params: PrelabelParams
) -> None:
    """Label some images and leave the records as one whole shard."""
    records = prelabel_shard(image_ids, workspace.blobs, profile, params, utc_now())
    write_shard(workspace.spool, records)


def unlabelled(catalogue: Catalogue, profile: str) -> list[str]:
    """Ids of the images that this profile has neither labelled nor rejected, in order.

    What people have labelled is left alone: a model's verdicts would take the place of theirs.
    """
    done = {
        label.image_id
        for label in catalogue.read(Annotation)
        if label.by == profile or label.origin != "model"
    }
    done |= {item.item_id for item in catalogue.read(Rejected) if item.step == _STEP}
    return [image.image_id for image in catalogue.read(ImageRecord) if image.image_id not in done]


def doubted(catalogue: Catalogue) -> set[str]:
    """Ids of the images in quarantine: somebody in them may be a minor.

    Not those that a person has dropped, or released and no annotator has stopped since; nor those
    that are intimate: these are no more than counted.
    """
    decided = list(catalogue.read(Decision))
    answered = released(decided) - catalogue.failed(NOT_STOPPED)
    return catalogue.failed(ADULT) - answered - dropped(decided) - catalogue.failed(INTIMATE)


def remove_intimate(
    workspace: Workspace, catalogue: Catalogue, image_ids: Sequence[str] | None = None
) -> None:
    """Remove the bytes of intimate pictures, of all or of `image_ids`: nobody is to look at them.

    Bytes are kept by content, so that no other picture's go with them. After the catalogue knows,
    so that a kill between the two leaves work for the next run, not a picture forgotten.
    """
    intimate = catalogue.failed(INTIMATE)
    for image_id in intimate if image_ids is None else intimate.intersection(image_ids):
        workspace.blobs.remove(image_id)
