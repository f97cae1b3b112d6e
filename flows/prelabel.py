"""Prelabel: pretrained models label every image of the catalogue that they have not labelled."""

from pathlib import Path

from annotation.batches import ADULT
from annotation.cluster import Cluster
from annotation.labelling import labelled
from annotation.prelabel import PrelabelParams
from annotation.processes import Processes
from annotation.worker import LabelOrder
from faces.engine import processors
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.catalogue.unlabelled import count_failed, count_unlabelled, unlabelled
from mirrorset.records import Annotation, Record
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

    Raises IntegrityError or UnavailableError where weights cannot be had, UnavailableError where
    the cluster cannot be reached.
    """
    workspace = open_workspace(home)
    params = workspace.params(_STEP, PrelabelParams)
    if cluster is None:
        cluster = "" if workers else workspace.settings.dask_scheduler
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        pending = count_unlabelled(catalogue, params.profile)
        if pending:
            shards = -(-pending // images_a_shard)
            team = min(workers or processors(), shards)
            label_shards(workspace, params, team, cluster, images_a_shard)
        return PrelabelSummary(
            profile=params.profile,
            looked_at=pending,
            labelled=catalogue.count(Annotation),
            rejected=dict(catalogue.rejected_by_reason(_STEP)),
            quarantined=count_failed(catalogue, ADULT),
        )


@task(name="label-shards")
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
