"""Prelabel: pretrained models label every image of the catalogue that they have not labelled."""

from collections.abc import Sequence
from pathlib import Path

from annotation.prelabel import PrelabelParams, prelabel_shard
from faces.profiles import Profile, load_profile, profile_models
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.catalogue import Catalogue
from mirrorset.errors import LicenceError
from mirrorset.records import (
    Annotation,
    ImageRecord,
    IntendedUse,
    Record,
    Rejected,
    Verdict,
    utc_now,
)
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

    A run that was killed goes on after its last whole shard. Raises LicenceError where the profile
    may not serve the dataset's intended use, IntegrityError or UnavailableError where weights
    cannot be had.
    """
    workspace = open_workspace(home)
    params = workspace.params(_STEP, PrelabelParams)
    require_licensed(params.profile, workspace.dataset.intended_use)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        pending = unlabelled(catalogue, params.profile)
        progress = bar(_STEP, total=len(pending))
        if pending:
            profile = load_profile(params.profile, workspace.settings.models)
            for start in range(0, len(pending), _IMAGES_A_SHARD):
                shard = pending[start : start + _IMAGES_A_SHARD]
                label_shard(workspace, shard, profile, params)
                ingest(workspace.spool, catalogue)
                progress.to(start + len(shard))
        return PrelabelSummary(
            profile=params.profile,
            looked_at=len(pending),
            labelled=catalogue.count(Annotation),
            rejected=dict(catalogue.rejected_by_reason(_STEP)),
            quarantined=len(doubted(catalogue)),
        )


def require_licensed(profile: str, use: IntendedUse) -> None:
    """Raise LicenceError naming the weights of `profile` that forbid the intended use.

    Their labels would be refused at the release, after people have corrected them.
    """
    forbidding = [
        f"{model.name} ({model.licence})"
        for model in profile_models(profile)
        if not model.is_commercial_use_allowed
    ]
    if use == "commercial" and forbidding:
        raise LicenceError(
            f"The profile {profile!r} labels with {', '.join(forbidding)}, which may not be used "
            "commercially: set prelabel.profile to commercial, or dataset.intended_use to research "
            "in params.yaml."
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
    """Ids of the images in quarantine: somebody in them may be a minor."""
    return {
        verdict.image_id
        for verdict in catalogue.read(Verdict)
        if verdict.check == "adult" and not verdict.passed
    }
