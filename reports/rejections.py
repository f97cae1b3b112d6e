"""What was rejected and why: rejected.jsonl files → counts by reason, and the items."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorset.files import read_records
from mirrorset.records import Reason, Rejected
from reports.charts import Chart, drawn

_WORDS = {
    Reason.LICENCE_MISSING: "No licence stated",
    Reason.LICENCE_UNKNOWN: "Licence not recognised",
    Reason.NO_DERIVATIVES: "Licence forbids derivatives",
    Reason.NON_COMMERCIAL: "Licence forbids commercial use",
    Reason.MODEL_LICENCE: "A model's licence forbids the use",
    Reason.ROBOTS: "Refused by robots.txt",
    Reason.OPT_OUT_NOAI: "Opted out of AI training",
    Reason.OPT_OUT_TDM: "Opted out of data mining",
    Reason.OPT_OUT_TAG: "Opted out: source's tag",
    Reason.HTTP_ERROR: "Could not be fetched",
    Reason.GONE: "Removed at its source",
    Reason.FORBIDDEN_ADDRESS: "Address is not public",
    Reason.TOO_LARGE: "File too large",
    Reason.CHECKSUM: "Bytes are not the stated ones",
    Reason.UNREVIEWED: "In a test split, and not reviewed",
    Reason.LOST: "Bytes lost or changed here",
    Reason.NOT_AN_IMAGE: "Not an image",
    Reason.TRUNCATED: "File ends early",
    Reason.POLYGLOT: "Picture and another file at once",
    Reason.DECOMPRESSION_BOMB: "Decompression bomb",
    Reason.TOO_SMALL: "Too few pixels",
    Reason.DUPLICATE_PIXELS: "Same pixels as another image",
    Reason.NO_FACE: "No face found",
    Reason.MODEL_FAILED: "A model failed on it",
    Reason.MINOR_DOUBT: "Possibly a minor: quarantined",
    Reason.INTIMATE: "Intimate: shown to nobody",
    Reason.DROPPED: "Dropped by a person",
    Reason.ERASED: "Erased, not to come back",
    Reason.QUALITY: "Capture quality",
    Reason.SEVERAL_FACES: "More faces than wanted",
    Reason.OCCLUSION: "Face hidden by something",
    Reason.SMALL_FACE: "Face too small",
    Reason.BLURRED: "Face not sharp enough",
    Reason.EXPOSURE: "Face too dark or too bright",
    Reason.POSE: "Head turned too far",
    Reason.CHECK_FAILED: "A check failed",
    Reason.SPLIT_CONFLICT: "Would join two splits",
    Reason.OVERSIZED_GROUP: "One of too many near-duplicates",
}


@dataclass(frozen=True)
class Rejection:
    """All items that one step rejected for one reason.

    items: the first of them by id; items_left_out: how many more there are.
    """

    reason: Reason
    step: str
    count: int
    items: tuple[Rejected, ...]
    items_left_out: int

    @property
    def words(self) -> str:
        return words_of(self.reason)

    @property
    def anchor(self) -> str:
        """The fragment that leads to it; steps are free text, so only the reason goes in whole."""
        step = "".join(letter for letter in self.step if letter.isalnum())
        return f"rejected-{self.reason}-{step}"


def words_of(reason: Reason) -> str:
    """The reason as people say it."""
    return _WORDS[reason]


def read_rejected(paths: Iterable[Path]) -> list[Rejected]:
    """Every rejected record of the files once, by step and item.

    An item that two files list with the same step and reason is one. Raises InputError naming file
    and line.
    """
    found = {
        (record.step, record.reason, record.item_id): record
        for path in paths
        for record in read_records(path, Rejected)
    }
    return [found[key] for key in sorted(found)]


def by_reason(rejected: Sequence[Rejected], items_shown: int) -> list[Rejection]:
    """The records gathered by step and reason, most frequent first."""
    gathered: dict[tuple[Reason, str], list[Rejected]] = defaultdict(list)
    for record in rejected:
        gathered[record.reason, record.step].append(record)
    rejections = [
        Rejection(
            reason=reason,
            step=step,
            count=len(records),
            items=tuple(_shown(record) for record in listed[:items_shown]),
            items_left_out=max(0, len(listed) - items_shown),
        )
        for (reason, step), records in gathered.items()
        # Intimate pictures are counted, and nothing else is told of them.
        for listed in [[] if reason is Reason.INTIMATE else records]
    ]
    return sorted(rejections, key=lambda it: (-it.count, it.reason, it.step))


def rejections_chart(rejections: Sequence[Rejection]) -> Chart | None:
    """How many items each step rejected for each reason; None where nothing was rejected."""
    if not rejections:
        return None
    # Else an axis of few items has halves of them.
    axis = {"tickCount": min(8, max(it.count for it in rejections))}
    x = {"field": "items", "type": "quantitative", "axis": axis}
    legend = {"orient": "top", "title": None, "columns": 3}
    color = {
        "field": "step",
        "type": "nominal",
        "scale": {"scheme": "tableau10"},
        "legend": legend,
    }
    spec = {
        "data": {
            "values": [{"why": it.words, "step": it.step, "items": it.count} for it in rejections]
        },
        "width": 300,
        "height": {"step": 40},
        "mark": {"type": "bar", "height": {"band": 0.4}, "yOffset": 8},
        "encoding": {
            "y": {
                "field": "why",
                "type": "nominal",
                "sort": "-x",
                "title": None,
                # Above its bar a name leaves all of a phone's width to it.
                "axis": {
                    "labelAlign": "left",
                    "labelPadding": 0,
                    "labelOffset": -9,
                    "ticks": False,
                },
            },
            "x": x,
            "color": color,
        },
    }
    return drawn(spec, f"Rejected items by reason: {_said(rejections)}.")


def _said(rejections: Sequence[Rejection]) -> str:
    return ", ".join(f"{it.words} ({it.step}) {it.count}" for it in rejections)


def item_count(rejected: Iterable[Rejected], released: Collection[str], step: str = "") -> int:
    """How many items were rejected (by `step`, where given) and are not released all the same."""
    ids = {record.item_id for record in rejected if step in ("", record.step)}
    return len(ids.difference(released))


def _shown(record: Rejected) -> Rejected:
    """The record as a page may show it: nothing leads to pictures of possible minors."""
    if record.reason in (Reason.MINOR_DOUBT, Reason.DROPPED):
        return record.model_copy(update={"detail": "", "image_url": ""})
    return record
