"""A profile as a detection function of CVAT's SDK, for pictures that a person put into CVAT:

    cvat-cli task auto-annotate TASK --function-module annotation.cvat.functions \\
        -p profile=str:research

The task needs the labels of a label schema (annotation/schemas), and gets the shapes that
pre-labelling would have pushed with the pictures.
"""

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cvat_sdk import auto_annotation as cvataa
from PIL import Image, ImageOps

from annotation.batches import ADULT
from annotation.conversion import to_shapes
from annotation.cvat.detections import DetectionAnnotation, Requests
from annotation.cvat.outlines import outlines
from annotation.prelabel import PrelabelParams, prelabel, prelabel_profile
from annotation.schema import DO_NOT_USE, REVIEWED, load_label_schema
from faces.profiles import Profile
from mirrorset.records import Annotation, Reason, Record, Rejected, Verdict, utc_now
from mirrorset.settings import read_settings

_log = logging.getLogger(__name__)

# A person's word, never a model's.
_BY_PEOPLE = (REVIEWED, DO_NOT_USE)
# What a PNG holds as it is; anything else becomes what it is decoded to in the end.
_PNG_MODES = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})
# The picture is CVAT's: no catalogue knows it.
_NO_ID = "0" * 64


def create(
    profile: str = "research", schema: str = "selfie", models: str = ""
) -> "LabellingFunction":
    """The detection function of a profile of `faces.profiles`; what `cvat-cli` calls.

    schema: label schema of the task. models: folder of weights, fetched where they are missing; by
    itself the one that mirrorset's settings name, read from this folder. Raises as
    `faces.profiles.load_profile` and `annotation.schema.load_label_schema` do.
    """
    params = PrelabelParams(profile=profile, schema_name=schema)
    folder = Path(models) if models else read_settings(Path()).models
    return LabellingFunction(prelabel_profile(params, folder), params)


class LabellingFunction:
    """A `cvat_sdk.auto_annotation.DetectionFunction`.

    Its shapes are those of `annotation.prelabel` for the same pixels, upright as CVAT shows them.
    conf_threshold is held against the detector's score: a face below it has neither box nor
    skeleton; where that is the main face there are no tags, where it is all faces no mask.

    A picture that may show a minor is labelled, since whoever put it into CVAT sees it anyway; a
    warning names it, and no figure leaves. One that pre-labelling rejects has no shapes, and a
    warning says why; an intimate one is not named.
    """

    def __init__(self, profile: Profile, params: PrelabelParams) -> None:
        self._profile = profile
        self._params = params
        self._schema = load_label_schema(params.schema_name)
        self._requests = Requests(self._schema, left_out=_BY_PEOPLE)

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The labels of the schema but for those that only people set."""
        return self._requests.spec

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> list[DetectionAnnotation]:
        """The shapes and tags of one frame."""
        upright = ImageOps.exif_transpose(image)
        records = prelabel(_NO_ID, _png(upright), self._profile, self._params, utc_now())
        _warn(context.frame_name, records)
        requests: list[DetectionAnnotation] = []
        for annotation in [one for one in records if isinstance(one, Annotation)]:
            labels = _confident(annotation, context.conf_threshold or 0)
            if context.conv_mask_to_poly:
                requests += [
                    self._requests.polygon(mask.label, np.round(polygon, 2).ravel().tolist())
                    for mask in labels.masks
                    if self._schema.label(mask.label, "mask")
                    for polygon in outlines(mask)
                ]
                labels = labels.model_copy(update={"masks": ()})
            shapes = to_shapes(labels, context.frame_name, *upright.size, self._schema)
            requests += self._requests.of(shapes)
        return requests


def _png(picture: Image.Image) -> bytes:
    """The same pixels as a file, so that labels come about in one way alone."""
    if picture.mode not in _PNG_MODES:
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=0)
    return file.getvalue()


def _confident(annotation: Annotation, threshold: float) -> Annotation:
    faces = tuple(face for face in annotation.faces if face.score >= threshold)
    has_main = annotation.faces[:1] == faces[:1]
    return annotation.model_copy(
        update={
            "faces": faces,
            "tags": annotation.tags if has_main else {},
            "masks": annotation.masks if faces else (),
        }
    )


def _warn(frame: str, records: Sequence[Record]) -> None:
    for record in records:
        if isinstance(record, Rejected) and record.reason is Reason.INTIMATE:
            _log.warning("A frame is not labelled: it is intimate. Take it out of the task.")
        elif isinstance(record, Rejected):
            _log.warning("%s is not labelled: %s", frame, record.detail)
        elif isinstance(record, Verdict) and record.check == ADULT and not record.passed:
            _log.warning(
                "%s may show a minor: look at it first, and set the tag %s where it does.",
                frame,
                DO_NOT_USE,
            )
