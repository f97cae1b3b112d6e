"""What the server keeps: people, projects, labels, tasks, frames, jobs and their annotations.

Everything lives in one event loop, so nothing is locked; a change and its answer are one step.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Shape = dict[str, Any]
Tag = dict[str, Any]


@dataclass
class User:
    id: int
    username: str
    password: str
    first_name: str = ""
    last_name: str = ""
    is_staff: bool = False
    joined_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    last_login_at: datetime | None = None


@dataclass
class Token:
    """is_session: a log-in's key, which may mint tokens; an access token may not."""

    id: int
    name: str
    value: str
    user: User
    created_at: datetime
    is_read_only: bool = False
    is_session: bool = False
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass
class Organisation:
    id: int
    slug: str
    name: str
    owner: User
    created_at: datetime
    updated_at: datetime
    description: str = ""


@dataclass
class Attribute:
    id: int
    name: str
    mutable: bool
    input_type: str
    default_value: str
    values: list[str]


@dataclass
class Label:
    """owner: the project or task it belongs to. svg: a skeleton's template."""

    id: int
    name: str
    color: str
    type: str
    owner: "Project | Task"
    attributes: list[Attribute] = field(default_factory=list)
    sublabels: list["Label"] = field(default_factory=list)
    parent: "Label | None" = None
    svg: str | None = None


@dataclass
class Project:
    id: int
    name: str
    owner: User
    created_at: datetime
    updated_at: datetime
    organisation: Organisation | None
    assignee: User | None = None
    assignee_updated_at: datetime | None = None
    bug_tracker: str = ""
    labels: list[Label] = field(default_factory=list)
    guide_id: int | None = None
    source_storage: Any = None
    target_storage: Any = None


@dataclass
class Frame:
    """One picture as it arrived: `content` as sent, size after EXIF rotation."""

    name: str
    width: int
    height: int
    content: bytes
    is_rotated: bool = False


@dataclass
class Data:
    """What was uploaded for a task.

    arrived: files by name before the frames are made. honeypots: by frame, the validation frame
    it shows. validation_frames: those of the ground-truth pool.
    """

    id: int
    chunk_size: int | None = None
    image_quality: int = 50
    start_frame: int = 0
    stop_frame: int = 0
    frame_filter: str = ""
    sorting_method: str = "lexicographical"
    frames: list[Frame] = field(default_factory=list)
    arrived: dict[str, bytes] = field(default_factory=dict)
    is_sealed: bool = False
    deleted_frames: set[int] = field(default_factory=set)
    chunks_updated_at: datetime | None = None
    validation_frames: list[int] = field(default_factory=list)
    disabled_frames: list[int] = field(default_factory=list)
    honeypots: dict[int, int] = field(default_factory=dict)
    honeypots_per_job: int | None = None


@dataclass
class Task:
    id: int
    name: str
    owner: User
    created_at: datetime
    updated_at: datetime
    organisation: Organisation | None
    project: Project | None = None
    assignee: User | None = None
    assignee_updated_at: datetime | None = None
    bug_tracker: str = ""
    subset: str = ""
    segment_size: int = 0
    overlap: int | None = None
    consensus_replicas: int = 0
    validation_mode: str | None = None
    mode: str = ""
    own_labels: list[Label] = field(default_factory=list)
    data: Data | None = None
    jobs: list["Job"] = field(default_factory=list)
    guide_id: int | None = None
    source_storage: Any = None
    target_storage: Any = None

    @property
    def labels(self) -> list[Label]:
        return self.project.labels if self.project else self.own_labels


@dataclass
class Job:
    """frames: task-relative numbers, in order. shapes and tags: as JSON, by id."""

    id: int
    task: Task
    type: str
    frames: list[int]
    created_at: datetime
    updated_at: datetime
    stage: str = "annotation"
    state: str = "new"
    assignee: User | None = None
    assignee_updated_at: datetime | None = None
    parent: "Job | None" = None
    replicas: int = 0
    shapes: dict[int, Shape] = field(default_factory=dict)
    tags: dict[int, Tag] = field(default_factory=dict)
    chunks_updated_at: datetime | None = None

    @property
    def status(self) -> str:
        """The older field that the server still fills from stage and state."""
        if self.stage == "annotation":
            return "annotation"
        is_over = self.stage == "acceptance" and self.state == "completed"
        return "completed" if is_over else "validation"


@dataclass
class Comment:
    id: int
    issue: "Issue"
    owner: User
    message: str
    created_at: datetime
    updated_at: datetime


@dataclass
class Issue:
    """position: x, y, x, y of what it is about, in pixels of the frame."""

    id: int
    job: Job
    frame: int
    position: list[float]
    owner: User
    created_at: datetime
    updated_at: datetime
    assignee: User | None = None
    is_resolved: bool = False
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Guide:
    id: int
    target: Project | Task
    markdown: str
    created_at: datetime
    updated_at: datetime


@dataclass
class Asset:
    uuid: str
    name: str
    owner: User
    guide: Guide
    created_at: datetime
    content: bytes
    media_type: str


@dataclass
class State:
    """The server's memory.

    actor: who asked for what is being done, in the background or not. listeners: told of what is
    created, updated, deleted or, without an announcement, only noted, by verb and thing.
    """

    url: str = ""
    users: dict[int, User] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)
    organisations: dict[int, Organisation] = field(default_factory=dict)
    projects: dict[int, Project] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    issues: dict[int, "Issue"] = field(default_factory=dict)
    guides: dict[int, "Guide"] = field(default_factory=dict)
    assets: dict[str, "Asset"] = field(default_factory=dict)
    actor: User | None = None
    is_in_background: bool = False
    listeners: list[Callable[[str, Any], None]] = field(default_factory=list)
    _numbers: dict[str, Iterator[int]] = field(
        default_factory=lambda: defaultdict(lambda: itertools.count(1))
    )
    _last: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def next_id(self, kind: str) -> int:
        return next(self._numbers[kind])

    def now(self) -> datetime:
        """The time in UTC, later than any that was given before."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    @property
    def jobs(self) -> dict[int, Job]:
        return {job.id: job for task in self.tasks.values() for job in task.jobs}

    @property
    def labels(self) -> dict[int, Label]:
        """Every label and sublabel, by id."""
        owners = [project.labels for project in self.projects.values()]
        owners += [task.own_labels for task in self.tasks.values()]
        found: dict[int, Label] = {}
        for label in itertools.chain.from_iterable(owners):
            found[label.id] = label
            found |= {one.id: one for one in label.sublabels}
        return found

    def issue_count(self, job: Job) -> int:
        return sum(issue.job is job for issue in self.issues.values())

    def tell(self, verb: str, thing: Any) -> None:
        """Let the listeners know: verb is create, update, delete or note."""
        for listener in self.listeners:
            listener(verb, thing)

    def touch(self, *things: Project | Task | Job | None) -> None:
        """Give them one new `updated_date`."""
        now = self.now()
        for thing in things:
            if thing is not None:
                thing.updated_at = now
                self.tell("update", thing)

    def delete_task(self, task: Task) -> None:
        """With its jobs, their issues, and what was said on those."""
        for job in task.jobs:
            for issue in [one for one in self.issues.values() if one.job is job]:
                self.delete_issue(issue)
        for job in reversed(task.jobs):
            self.tell("delete", job)
        del self.tasks[task.id]
        self.touch(task.project)
        self.tell("delete", task)

    def delete_issue(self, issue: "Issue") -> None:
        for comment in issue.comments:
            self.tell("delete", comment)
        del self.issues[issue.id]
        self.tell("delete", issue)


def as_text(moment: datetime | None) -> str | None:
    """A time as the server writes it: 2026-11-22T13:42:31.744766Z, without a fraction of 0."""
    if moment is None:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")
