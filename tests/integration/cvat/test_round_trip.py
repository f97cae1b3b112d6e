"""Two hundred images go out, people edit them, and exactly what they did comes back."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cvat_annotator import HEIGHT, WIDTH, Annotator, Pictures, set_attribute
from cvat_labels import SCHEMA, label_of
from standin.faults import ANYTHING
from standin.server import Cvat

from annotation.batches import ADULT, BatchParams, make_batch
from annotation.cvat import tasks
from annotation.cvat.connection import Connection, connect
from annotation.cvat.exchange import ServerExchange
from annotation.exchange import Returned
from annotation.pseudonyms import Pseudonyms
from annotation.qa import PEOPLE_AGREE, QaParams, assess
from annotation.review import ReviewParams, accept
from faces.schema import load_schema
from mirrorset.decisions import NOT_STOPPED
from mirrorset.errors import UnavailableError
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Face,
    Landmarks,
    Lighting,
    Mask,
    Pose,
    Rejected,
    Stop,
    Verdict,
)

IMAGES = 200
Json = dict[str, Any]
SKELETON = SCHEMA.skeleton.name
NAMES = tuple(enumerate(SCHEMA.point_names))
MIRROR = load_schema(SKELETON).mirror


def measured(image_id: str, number: int) -> Annotation:
    """Labels as a model makes them: of many decimals, with what CVAT has no place for."""
    label = label_of(image_id, uncertainty=number / 1000)
    rng = random.Random(number)
    (face,) = label.faces
    points = face.landmarks[SKELETON]
    face = face.model_copy(
        update={
            "box": tuple(value + rng.random() / 3 for value in face.box),
            "score": rng.random(),
            "landmarks": {
                SKELETON: points.model_copy(
                    update={
                        "points": tuple(
                            (x + rng.random(), y + rng.random()) for x, y in points.points
                        ),
                        "confidence": tuple(rng.random() for _ in points.points),
                    }
                ),
                "face106": Landmarks(
                    points=((1.5, 2.5),) * 106, visibility=(2,) * 106, confidence=(0.9,) * 106
                ),
            },
            "pose": Pose(yaw_deg=rng.random(), pitch_deg=-1.0, roll_deg=0.4),
            "lighting": Lighting(side="left", level=0.5, evenness=0.9, colour_cast=rng.random()),
            "blendshapes": {"jawOpen": rng.random()},
        }
    )
    return label.model_copy(update={"faces": (face,)})


class Desk:
    """One annotator's work on one frame, and what it ought to make of the label that was sent."""

    def __init__(
        self, annotator: Annotator, job: Json, loaded: Json, frame: int, sent: Annotation
    ) -> None:
        self.annotator = annotator
        self.loaded = loaded
        self.job = job
        self.frame = frame
        self.faces = list(sent.faces)
        self.masks = list(sent.masks)
        self.tags = dict(sent.tags)
        self.rng = random.Random(frame)
        self.is_rejected = False

    def shape(self, label: str) -> Json:
        return self.annotator.on_frame(self.loaded, self.frame, label)[0]

    def reviewed(self) -> None:
        self.annotator.tag(self.job, self.frame, "reviewed")

    def moved_point(self) -> None:
        """By the annotator's mouse: to a place of many decimals."""
        index = self.rng.randrange(len(SCHEMA.point_names))
        place = (self.rng.uniform(10, 40), self.rng.uniform(10, 40))
        self._edit_point(index, points=list(place))
        self._set_points(points={index: place}, confidence={index: 1.0})

    def occluded_point(self) -> None:
        self._edit_point(9, occluded=True)
        self._set_points(visibility={9: 1}, confidence={9: 1.0})

    def point_switched_off(self) -> None:
        self._edit_point(20, outside=True)
        self._set_points(visibility={20: 0}, confidence={20: 1.0})

    def mirrored(self) -> None:
        """Left and right confused, all over the face."""
        points = self.faces[0].landmarks[SKELETON].points
        places = {index: points[other] for index, other in enumerate(MIRROR) if index != other}
        label = self.annotator.label(SKELETON)
        ids = {one["name"]: one["id"] for one in label["sublabels"]}

        def edit(shape: Json) -> None:
            elements = {element["label_id"]: element for element in shape["elements"]}
            sent = {index: elements[ids[name]]["points"] for index, name in NAMES}
            for index, name in NAMES:
                elements[ids[name]]["points"] = sent[MIRROR[index]]

        self.annotator.change(self.job, self.shape(SKELETON), edit)
        # As the server has them: rounded.
        places = {index: tuple(round(value, 2) for value in at) for index, at in places.items()}
        self._set_points(points=places, confidence=dict.fromkeys(places, 1.0))
        # The model was looking at something else.
        gone = {"pose": None, "lighting": None, "quality": None, "blendshapes": {}}
        self.faces[0] = self.faces[0].model_copy(update=gone)

    def moved_box(self) -> None:
        box = (7.123456789, 4.0, 48.25, 44.987654321)
        self.annotator.change(
            self.job, self.shape("face"), lambda shape: shape.update(points=list(box))
        )
        self.faces[0] = self.faces[0].model_copy(update={"box": box, "score": 1.0})
        self._is_moved()

    def changed_attribute(self) -> None:
        label = self.annotator.label("face")
        self.annotator.change(
            self.job,
            self.shape("face"),
            lambda shape: set_attribute(label, shape, "glasses", "dark"),
        )
        self.faces[0] = self.faces[0].model_copy(update={"attributes": {"glasses": "dark"}})

    def other_mask(self) -> None:
        self.annotator.delete(self.job, self.shape("person"))
        self.annotator.draw(self.job, self.frame, "person", "mask", [0, 3, 1, 2, 5, 6, 7, 7])
        self.masks = [Mask(label="person", left=5, top=6, right=7, bottom=7, rle=(0, 3, 1, 2))]

    def other_tags(self) -> None:
        self.annotator.untag(self.job, self.frame, "lighting")
        self.annotator.tag(self.job, self.frame, "lighting", "back")
        self.annotator.tag(self.job, self.frame, "blurred")
        self.tags = {"lighting": "back", "blurred": "true"}

    def face_deleted(self) -> None:
        self.annotator.delete(self.job, self.shape("face"), self.shape(SKELETON))
        self.reviewed()
        self.faces = []

    def face_drawn(self) -> None:
        self.annotator.draw(self.job, self.frame, "face", "rectangle", [50, 30, 60, 40.5])
        self.faces.append(Face(face_id="1", box=(50, 30, 60, 40.5), score=1.0))

    def stopped(self) -> None:
        self.annotator.tag(self.job, self.frame, "do_not_use", "minor")
        self.tags["do_not_use"] = "minor"

    def unfit(self) -> None:
        self.annotator.draw(self.job, self.frame, "face", "polygon", [1, 2, 30, 40, 5, 6])
        self.is_rejected = True

    def _edit_point(self, index: int, **change: object) -> None:
        label = self.annotator.label(SKELETON)
        point_id = next(
            one["id"] for one in label["sublabels"] if one["name"] == SCHEMA.point_names[index]
        )

        def edit(shape: Json) -> None:
            for element in shape["elements"]:
                if element["label_id"] == point_id:
                    element.update(change)

        self.annotator.change(self.job, self.shape(SKELETON), edit)

    def _set_points(self, **changes: dict[int, Any]) -> None:
        points = self.faces[0].landmarks[SKELETON]
        update = {
            name: tuple(of.get(index, old) for index, old in enumerate(getattr(points, name)))
            for name, of in changes.items()
        }
        landmarks = self.faces[0].landmarks | {SKELETON: points.model_copy(update=update)}
        self.faces[0] = self.faces[0].model_copy(update={"landmarks": landmarks})
        if "points" in changes:
            self._is_moved()

    def _is_moved(self) -> None:
        """What was placed anew has no expected error any more; other schemas' points go."""
        landmarks = {SKELETON: self.faces[0].landmarks[SKELETON]}
        cleared = {"uncertainty": None, "landmarks": landmarks}
        self.faces[0] = self.faces[0].model_copy(update=cleared)


EDITS: tuple[Callable[[Desk], None] | None, ...] = (
    None,
    Desk.reviewed,
    Desk.moved_point,
    Desk.occluded_point,
    Desk.point_switched_off,
    Desk.moved_box,
    Desk.changed_attribute,
    Desk.other_mask,
    Desk.other_tags,
    Desk.face_deleted,
    Desk.face_drawn,
    Desk.mirrored,
    Desk.stopped,
    Desk.unfit,
)


class Trip:
    """A batch on a server, and what has been pulled of it so far."""

    def __init__(self, cvat: Cvat, home: Path, images: int, **params: object) -> None:
        self.params = BatchParams.model_validate(params)
        self.connection: Connection = connect(cvat.url, cvat.token, patience_s=20)
        self.pictures = Pictures.plain(images)
        self.sent = [measured(one, number) for number, one in enumerate(self.pictures)]
        self.pseudonyms = Pseudonyms(home / "annotators.json")
        self.exchange = self.exchange_by(self.connection)
        self.batch: Batch = make_batch(list(self.pictures), SCHEMA.version)
        self.known: tuple[AnnotationJob, ...] = ()
        self.kept: dict[tuple[str, ...], object] = {}

    def exchange_by(self, connection: Connection) -> ServerExchange:
        return ServerExchange(connection, self.pseudonyms, self.params)

    def push(self, exchange: ServerExchange | None = None) -> None:
        self.batch = (exchange or self.exchange).push(
            self.batch, self.pictures.records(), self.pictures, self.sent, SCHEMA
        )

    def pull(self, exchange: ServerExchange | None = None) -> Returned | None:
        """Pull, judge, and keep it as the catalogue would: by key, all or nothing."""
        returned = (exchange or self.exchange).pull(self.batch, self.known)
        if returned is not None:
            records = accept(
                self.batch,
                returned,
                self.pictures.records(),
                self.sent,
                SCHEMA,
                params=ReviewParams(),
                before=[one for one in self.kept.values() if isinstance(one, Annotation)],
            )
            self.kept |= {_key(record): record for record in records}
            self.known = returned.jobs
        return returned

    def annotator(self) -> Annotator:
        return Annotator(self.connection, int(self.batch.project))

    def work(self, edits: Callable[[int], Callable[[Desk], None] | None]) -> dict[str, Desk]:
        """Have every frame edited; returns the desks of those with something done, by image."""
        annotator, sent = self.annotator(), {one.image_id: one for one in self.sent}
        desks = {}
        for job in annotator.jobs(self.batch):
            loaded = annotator.load(job)
            for frame in range(job["start_frame"], job["stop_frame"] + 1):
                edit = edits(frame)
                image_id = self.batch.image_ids[frame]
                if edit is not None:
                    desks[image_id] = Desk(annotator, job, loaded, frame, sent[image_id])
                    edit(desks[image_id])
            annotator.finish(job)
        return desks

    def annotations(self) -> dict[str, Annotation]:
        found = (one for one in self.kept.values() if isinstance(one, Annotation))
        return {one.image_id: one for one in found}

    def rejected(self) -> dict[str, Rejected]:
        return {one.item_id: one for one in self.kept.values() if isinstance(one, Rejected)}

    def verdicts(self, image_id: str) -> dict[str, bool]:
        found = (one for one in self.kept.values() if isinstance(one, Verdict))
        return {one.check: one.passed for one in found if one.image_id == image_id}

    def close(self) -> None:
        task = tasks.find(self.connection, self.batch.batch_id)
        if task is not None:
            tasks.remove(self.connection, task["id"])


def _key(record: object) -> tuple[str, ...]:
    match record:
        case Annotation():
            return "Annotation", record.image_id, record.origin, record.by
        case Verdict():
            return "Verdict", record.image_id, record.check
        case Rejected():
            return "Rejected", record.item_id, record.step
        case Batch():
            return "Batch", record.batch_id
        case Stop():
            return "Stop", record.batch_id, record.image_id
    raise TypeError(record)


@pytest.fixture
def trip(cvat: Cvat, tmp_path: Path) -> Iterator[Callable[..., Trip]]:
    trips: list[Trip] = []

    def make(images: int, **params: object) -> Trip:
        trips.append(Trip(cvat, tmp_path, images, **params))
        return trips[-1]

    yield make
    for made in trips:
        made.close()


def check(trip: Trip, desks: dict[str, Desk]) -> None:
    """Every edit has arrived exactly, and what nobody touched is bit-equal to what was sent."""
    annotations, rejected = trip.annotations(), trip.rejected()
    assert annotations.keys() == {one for one, desk in desks.items() if not desk.is_rejected}
    assert rejected.keys() == {one for one, desk in desks.items() if desk.is_rejected}
    sent = {label.image_id: label for label in trip.sent}
    for image_id, label in annotations.items():
        desk = desks[image_id]
        assert label.faces == tuple(desk.faces), desk.frame
        assert label.masks == tuple(desk.masks), desk.frame
        assert label.tags == desk.tags, desk.frame
        assert (label.origin, label.models) == ("human", sent[image_id].models)
        assert label.provenance is not None
        assert label.provenance.task == trip.batch.task
        verdicts = trip.verdicts(image_id)
        assert verdicts[NOT_STOPPED] == ("do_not_use" not in desk.tags)
        assert (ADULT in verdicts) == ("do_not_use" in desk.tags)


def test_two_hundred_images_there_and_back(trip: Callable[..., Trip]) -> None:
    here = trip(IMAGES, segment_size=50)
    here.push()
    desks = here.work(lambda frame: EDITS[frame % len(EDITS)])
    returned = here.pull()
    assert returned is not None
    assert len(returned.images) == len(desks)
    assert len(desks) > IMAGES * 0.9
    check(here, desks)
    # What is untouched, though somebody looked at it, is what was sent to the last bit.
    sent = {label.image_id: label for label in here.sent}
    looked_at = [
        one for one, desk in desks.items() if EDITS[desk.frame % len(EDITS)] is Desk.reviewed
    ]
    assert len(looked_at) > 10
    for image_id in looked_at:
        label, before = here.annotations()[image_id], sent[image_id]
        assert (label.faces, label.masks, label.tags) == (before.faces, before.masks, before.tags)
    # Masks and sizes have been right all the time.
    assert {(one.shapes.width_px, one.shapes.height_px) for one in returned.images} == {
        (WIDTH, HEIGHT)
    }
    assert here.pull() is None

    # And it is judged: what one person confused is pointed out in their job, and kept back.
    labels = here.annotations()
    assessed = assess(
        ([sent[one], labels[one]] for one in sorted(labels)),
        {image.image_id: image for image in here.pictures.records()},
        SCHEMA,
        QaParams(),
        ReviewParams().checks,
    )
    verdicts = {(one.image_id, one.check): one.passed for one in assessed.verdicts}
    confused = {one for one in labels if EDITS[desks[one].frame % len(EDITS)] is Desk.mirrored}
    assert len(confused) > 10
    assert {one for one in labels if not verdicts[one, "sides_kept"]} == confused
    assert all(verdicts[one, PEOPLE_AGREE] for one in labels)
    assert assessed.report.reviewed == len(labels)
    pointed_out = {
        one.finding.image_id: one.provenance.job
        for one in assessed.suspicious
        if one.finding.check == "sides_kept"
    }
    assert pointed_out == {one: str(desks[one].job["id"]) for one in confused}
    boxes = next(row for row in assessed.report.edits if row.label == "face")
    assert boxes.untouched.value == pytest.approx(
        1
        - sum(edited in (Desk.moved_box, Desk.face_deleted) for edited in done_to(desks, labels))
        / boxes.labels
    )


def done_to(desks: dict[str, Desk], images: Iterable[str]) -> list[Callable[[Desk], None] | None]:
    """What the annotator did to each image."""
    return [EDITS[desks[one].frame % len(EDITS)] for one in images]


def test_what_is_half_done_comes_back_in_parts(trip: Callable[..., Trip]) -> None:
    """Job after job, with a pull in between: the sum is the same, and the last makes it whole."""
    here = trip(12, segment_size=4)
    here.push()
    annotator = here.annotator()
    sent = {one.image_id: one for one in here.sent}
    desks: dict[str, Desk] = {}
    for job in annotator.jobs(here.batch):
        assert ("Batch", here.batch.batch_id) not in here.kept
        loaded = annotator.load(job)
        for frame in range(job["start_frame"], job["stop_frame"] + 1):
            image_id = here.batch.image_ids[frame]
            desks[image_id] = Desk(annotator, job, loaded, frame, sent[image_id])
            EDITS[1 + frame % 9](desks[image_id])
        annotator.finish(job)
        returned = here.pull()
        assert returned is not None
        assert len(returned.images) == 4
    check(here, desks)
    assert here.kept["Batch", here.batch.batch_id].state == "returned"


class Killed(BaseException):
    """As if the process had ended."""


def until_through(trip: Trip, ends_at: int = 0) -> None:
    """Pull, and pull again where a fault lasted longer than the patience."""
    while True:
        try:
            trip.pull()
        except UnavailableError:
            continue
        except Killed:
            assert ends_at
        return


@pytest.mark.parametrize("seed", range(25))
def test_faults_and_kills_while_pulling_lose_and_double_nothing(
    trip: Callable[..., Trip], cvat: Cvat, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Random 500s and lost connections, and an end at a random request.

    What a killed process leaves in the catalogue: test_annotate_flows, in processes.
    """
    faults = cvat.faults
    rng = random.Random(seed)
    here = trip(9, segment_size=4, overlap=1)
    here.push()
    here.work(lambda frame: EDITS[rng.randrange(len(EDITS))])
    real, made = Connection.call, []
    ends_at = rng.randrange(1, 8)

    def call(self: Connection, *args: Any, **more: Any) -> Any:
        made.append(args)
        if len(made) == ends_at:
            raise Killed
        return real(self, *args, **more)

    faults.at_random(0.3, seed, ANYTHING)
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "call", call)
        until_through(here, ends_at)
    until_through(here)
    faults.clear()
    assert here.pull() is None
    interrupted = dict(here.kept)
    # The same without any trouble.
    here.known, here.kept = (), {}
    here.pull()
    assert interrupted == here.kept
    assert faults.happened or ends_at < 3
