"""Prelabel: pretrained models label every image of the catalogue that they have not labelled."""

from pathlib import Path

from annotation.batches import ADULT, INTIMATE
from annotation.cluster import Cluster
from annotation.labelling import labelled
from annotation.prelabel import PrelabelParams
from annotation.processes import Processes
from annotation.worker import LabelOrder
from faces.engine import processors
from faces.profiles import profile_models
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.unlabelled import count_unlabelled, unlabelled
from mirrorset.decisions import NOT_STOPPED, dropped, released
from mirrorset.errors import LicenceError
from mirrorset.records import Annotation, Decision, IntendedUse, Record
from mirrorset.spool import ingest, write_encoded
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
def prelabel(
    home: Path,
    workers: int | None = None,
    cluster: str | None = None,
    images_a_shard: int = _IMAGES_A_SHARD,
) -> PrelabelSummary:
    """Label what the profile of params.yaml has not labelled yet, a shard at a time.

    workers: processes of this machine, by itself one a core. cluster: address of a Dask scheduler
    whose workers do it instead, by itself the setting dask_scheduler. Images go into shards in the
    order of their ids; only this process writes to the catalogue. A run that was killed goes on
    after the shards that it kept.

    Raises LicenceError where the profile may not serve the dataset's intended use, IntegrityError
    or UnavailableError where weights cannot be had, UnavailableError where the cluster cannot be
    reached.
    """
    workspace = open_workspace(home)
    params = workspace.params(_STEP, PrelabelParams)
    require_licensed(params.profile, workspace.dataset.intended_use)
    if cluster is None:
        cluster = "" if workers else workspace.settings.dask_scheduler
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        # What a killed run had yet to remove, and what a crawl has brought back.
        remove_intimate(workspace, catalogue)
        pending = count_unlabelled(catalogue, params.profile)
        if pending:
            shards = -(-pending // images_a_shard)
            team = min(workers or processors(), shards)
            label_shards(workspace, params, team, cluster, images_a_shard)
            remove_intimate(workspace, catalogue)
        return PrelabelSummary(
            profile=params.profile,
            looked_at=pending,
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


@task("label-shards", "label with {params.profile}")
def label_shards(
    workspace: Workspace, params: PrelabelParams, workers: int, cluster: str, images_a_shard: int
) -> None:
    """Have workers label all that is open, and keep each shard as it is done."""
    order = LabelOrder(
        blobs_url=workspace.settings.blobs_url, models=workspace.settings.models, params=params
    )
    with (
        workspace.catalogue() as catalogue,
        Cluster(cluster) if cluster else Processes(workers) as team,
    ):
        progress = bar(_STEP, total=count_unlabelled(catalogue, params.profile))
        done = 0
        for shard in labelled(team, order, unlabelled(catalogue, params.profile, images_a_shard)):
            write_encoded(workspace.spool, shard.content)
            ingest(workspace.spool, catalogue)
            done += shard.images
            progress.to(done)


def doubted(catalogue: Catalogue) -> set[str]:
    """Ids of the images in quarantine: with a possible minor, or stopped by an annotator.

    Not those that a person has dropped, or released and no annotator has stopped since; nor those
    that are intimate: these are no more than counted.
    """
    decided = list(catalogue.read(Decision))
    stopped = catalogue.failed(NOT_STOPPED)
    in_doubt = (catalogue.failed(ADULT) - released(decided)) | stopped
    return in_doubt - dropped(decided) - catalogue.failed(INTIMATE)


def remove_intimate(workspace: Workspace, catalogue: Catalogue) -> None:
    """Remove the bytes of intimate pictures: nobody is to look at them.

    Bytes are kept by content, so that no other picture's go with them. After the catalogue knows,
    so that a kill between the two leaves work for the next run, not a picture forgotten.
    """
    for image_id in catalogue.failed(INTIMATE):
        workspace.blobs.remove(image_id)
