"""The exchange by a CVAT server: a batch is a task of the label schema's project there."""

from collections.abc import Collection, Mapping, Sequence

from annotation.batches import BatchParams, uncertainty
from annotation.checks import Finding
from annotation.cvat import project
from annotation.cvat.connection import Connection
from annotation.cvat.erase import erase_from_task
from annotation.cvat.hiding import hide
from annotation.cvat.issues import settle
from annotation.cvat.jobs import furnish
from annotation.cvat.pull import list_jobs, pull_task
from annotation.cvat.shape_json import ServerLabels
from annotation.cvat.tasks import TaskPlan, finish, stand, withdraw
from annotation.exchange import Contents, Returned
from annotation.outgoing import outgoing
from annotation.pseudonyms import Pseudonyms
from annotation.schema import LabelSchema
from mirrorset.errors import SettingsError
from mirrorset.records import Annotation, AnnotationJob, Batch, ImageRecord, Rejected


class ServerExchange:
    """An `annotation.exchange.Exchange` whose other side is a CVAT server.

    Frames are shown the worst-labelled first. A server matches labels by the number of a frame,
    which is read from it, so that no order of names is needed as in an archive.
    """

    def __init__(
        self,
        connection: Connection,
        pseudonyms: Pseudonyms,
        params: BatchParams,
        *,
        assignees: Sequence[str] = (),
        title: str = "",
    ) -> None:
        """assignees: user names, to whom jobs go in turn, replicas to others than their jobs.
        title: begins the names of tasks, for people. Raises SettingsError where there are too few
        to whom replicas could go.
        """
        if assignees and params.replicas >= len(set(assignees)):
            raise SettingsError(
                f"annotate.replicas is {params.replicas}, which needs {params.replicas + 1} "
                f"different names in cvat_assignees: there are {len(set(assignees))}."
            )
        self._connection = connection
        self._pseudonyms = pseudonyms
        self._seen_only = pseudonyms.reading_only()
        self._params = params
        self._assignees = tuple(assignees)
        self._title = title
        self._projects: dict[str, tuple[int, ServerLabels]] = {}

    def push(
        self,
        batch: Batch,
        images: Sequence[ImageRecord],
        contents: Contents,
        annotations: Sequence[Annotation],
        schema: LabelSchema,
    ) -> Batch:
        """Make the batch's task, or take up one that a kill left unfinished."""
        if not batch.image_ids:
            withdraw(self._connection, batch.batch_id)
            return batch.model_copy(update={"server": self._connection.url, "state": "returned"})
        project_id, labels = self._project(schema)
        frames = outgoing(batch, images, annotations, schema)
        frames.sort(key=lambda one: (-uncertainty(one.label), one.image.image_id))
        plan = TaskPlan(
            batch_id=batch.batch_id,
            name=f"{self._title} {batch.batch_id}".strip(),
            project_id=project_id,
            frames=tuple(frames),
            params=self._params,
            assignees=self._assignees,
        )
        there = stand(self._connection, plan, contents)
        if not there.is_finished:
            furnish(self._connection, plan, there, labels)
            finish(self._connection, plan, there)
        ids = {one.shapes.name: one.image.image_id for one in frames}
        shown = [ids[name] for _, name in sorted(there.names.items()) if name in ids]
        return batch.model_copy(
            update={
                "image_ids": tuple(dict.fromkeys(shown)),
                "server": self._connection.url,
                "project": str(project_id),
                "task": str(there.task_id),
                "state": "pushed",
            }
        )

    def pull(
        self,
        batch: Batch,
        known: Sequence[AnnotationJob] = (),
        hidden: Collection[str] = (),
    ) -> Returned | None:
        """What people have done of the batch since `known`, job by job."""
        return pull_task(
            self._connection,
            batch,
            known,
            self._pseudonyms,
            done_at=self._params.done_at,
            hidden=hidden,
        )

    def jobs(self, batch: Batch, known: Sequence[AnnotationJob]) -> tuple[AnnotationJob, ...]:
        """The jobs that the server lists for the batch's task."""
        return list_jobs(self._connection, batch, known, self._seen_only)

    def hide(self, batch: Batch, image_ids: Collection[str], before: Collection[str]) -> set[str]:
        """Delete the images' frames, and restore those of `before` that may be shown again."""
        return hide(self._connection, batch, image_ids, before)

    def point_out(
        self, batch: Batch, found: Mapping[str, Sequence[Finding]], left: Sequence[Finding] = ()
    ) -> dict[str, int]:
        """Make the issues of the batch's task say what was found."""
        return settle(self._connection, batch, found, left).model_dump()

    def erase(self, batch: Batch, image_ids: Collection[str], contents: Contents) -> Batch:
        """Make the batch's task anew without the images."""
        return erase_from_task(self._connection, batch, image_ids, contents)

    def batches(self) -> tuple[Batch, ...]:
        """None: a batch is kept as planned before it comes here, so a kill loses none."""
        return ()

    def unclaimed(self, batches: Sequence[Batch]) -> tuple[Rejected, ...]:
        """Nothing: what is on a server belongs to the task that it lies in."""
        return ()

    def _project(self, schema: LabelSchema) -> tuple[int, ServerLabels]:
        """The schema's project and its labels, asked for once."""
        if schema.version not in self._projects:
            project_id, labels = project.ready(self._connection, schema)
            self._projects[schema.version] = project_id, ServerLabels(labels)
        return self._projects[schema.version]
