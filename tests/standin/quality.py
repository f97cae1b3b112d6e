"""Quality: a task's jobs against its ground-truth job, and the conflicts found.

Shapes are matched by the overlap of their boxes, a simpler measure than the recorded server's; the
reports have its keys.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from standin import access, background, lists, pace, shown
from standin.background import Work
from standin.call import Answer, Arrived, Call
from standin.matching import matched
from standin.refusals import bad_request, not_found
from standin.state import Job, Label, Shape, State, Task, as_text

router = APIRouter()

_DEFAULTS: dict[str, Any] = {
    "job_filter": "",
    "inherit": True,
    "target_metric": "accuracy",
    "target_metric_threshold": 0.7,
    "max_validations_per_job": 0,
    "iou_threshold": 0.4,
    "oks_sigma": 0.09,
    "point_size_base": "group_bbox_size",
    "line_thickness": 0.01,
    "low_overlap_threshold": 0.8,
    "compare_line_orientation": True,
    "line_orientation_threshold": 0.1,
    "compare_groups": True,
    "group_match_threshold": 0.5,
    "check_covered_annotations": True,
    "object_visibility_threshold": 0.05,
    "panoptic_comparison": True,
    "compare_attributes": True,
    "empty_is_annotated": False,
}
_PARAMETERS = ("compare_attributes", "iou_threshold", "low_overlap_threshold", "oks_sigma",
               "point_size_base", "line_thickness", "compare_line_orientation",
               "line_orientation_threshold", "compare_groups", "group_match_threshold",
               "check_covered_annotations", "object_visibility_threshold",
               "panoptic_comparison", "empty_is_annotated")  # fmt: skip
_KINDS = ["bbox", "points", "mask", "polygon", "polyline", "skeleton", "label", "ellipse"]
_NO_GOLD = (
    "Quality reports require a Ground Truth job in the task at the acceptance stage "
    "and in the completed state"
)


@dataclass
class Settings:
    id: int
    task: Task
    created_at: datetime
    updated_at: datetime
    values: dict[str, Any] = field(default_factory=lambda: dict(_DEFAULTS))


@dataclass
class Conflict:
    frame: int
    type: str
    severity: str
    shape: Shape
    job: Job
    id: int = 0


@dataclass
class Compared:
    """One frame of a job against the gold. pairs: overlaps of what matched."""

    frame: int
    job: Job
    counts: Counter[str]
    confusion: Counter[tuple[str, str]]
    overlaps: list[float]
    conflicts: list[Conflict]


@dataclass
class Report:
    id: int
    task: Task
    job: Job | None
    parent: "Report | None"
    frames: list[Compared]
    total_frames: int
    created_at: datetime
    target_updated_at: datetime
    gold_updated_at: datetime
    parameters: dict[str, Any]


@dataclass
class Quality:
    settings: dict[int, Settings] = field(default_factory=dict)
    reports: dict[int, Report] = field(default_factory=dict)


_SETTINGS_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "task_id": lambda one: one.task.id,
    "project_id": lambda one: None,
    "inherit": lambda one: one.values["inherit"],
    "created_date": lambda one: one.created_at,
    "updated_date": lambda one: one.updated_at,
}
_REPORT_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "job_id": lambda one: one.job and one.job.id,
    "task_id": lambda one: one.task.id,
    "project_id": lambda one: one.task.project and one.task.project.id,
    "parent_id": lambda one: one.parent and one.parent.id,
    "target": lambda one: "job" if one.job else "task",
    "created_date": lambda one: one.created_at,
    "gt_last_updated": lambda one: one.gold_updated_at,
    "target_last_updated": lambda one: one.target_updated_at,
}
_CONFLICT_FIELDS: lists.Fields = {
    "id": lambda pair: pair[1].id,
    "frame": lambda pair: pair[1].frame,
    "type": lambda pair: pair[1].type,
    "severity": lambda pair: pair[1].severity,
    "job_id": lambda pair: pair[1].job.id,
    "task_id": lambda pair: pair[1].job.task.id,
    "project_id": lambda pair: pair[1].job.task.project and pair[1].job.task.project.id,
}


@router.get("/api/quality/settings")
async def list_settings(call: Arrived) -> Response:
    tasks = [one for one in call.state.tasks.values() if access.may_see(call.user, one, call.state)]
    settings = [_settings(call, task) for task in tasks]
    return lists.answered(call, settings, _SETTINGS_FIELDS, _settings_shown)


@router.get("/api/quality/settings/{settings_id}")
async def get_settings(call: Arrived, settings_id: int) -> Response:
    return Answer(_settings_shown(_settings_by_id(call, settings_id)))


@router.patch("/api/quality/settings/{settings_id}")
async def update_settings(call: Arrived, settings_id: int) -> Response:
    settings = _settings_by_id(call, settings_id)
    settings.values |= {k: v for k, v in call.json().items() if k in settings.values}
    settings.updated_at = call.state.now()
    return Answer(_settings_shown(settings))


@router.post("/api/quality/reports")
async def create_report(call: Arrived) -> Response:
    state = call.state
    task = access.task(call, call.json()["task_id"])
    gold = next((job for job in task.jobs if job.type == "ground_truth"), None)
    if gold is None or gold.status != "completed":
        raise bad_request([_NO_GOLD])
    work = Work(
        background.request_id("calculate", "task", task.id, subresource="quality"),
        "calculate",
        "task",
        "quality",
        call.user,
        state.now(),
        project_id=task.project.id if task.project else None,
        task_id=task.id,
        has_format=False,
    )
    quality, settings = _quality(call), _settings(call, task)

    def do(work: Work) -> None:
        work.result_id = _reported(state, quality, settings, task, gold).id

    seconds = pace.background_s(call, "calculate", len(gold.frames))
    background.works(call).start(state, work, do, seconds)
    return background.started(call, work)


@router.get("/api/quality/reports")
async def list_reports(call: Arrived) -> Response:
    state = call.state
    seen = [
        one for one in _quality(call).reports.values() if access.may_see(call.user, one.task, state)
    ]
    return lists.answered(call, seen, _REPORT_FIELDS, lambda one: _report_shown(state, one))


@router.get("/api/quality/reports/{report_id}")
async def get_report(call: Arrived, report_id: int) -> Response:
    return Answer(_report_shown(call.state, _report(call, report_id)))


@router.get("/api/quality/reports/{report_id}/data")
async def get_report_data(call: Arrived, report_id: int) -> Response:
    content = _data_shown(call, _report(call, report_id))
    return Answer(content, media_type="application/json")


@router.get("/api/quality/conflicts")
async def list_conflicts(call: Arrived) -> Response:
    """Those of a task's report are listed under its jobs' reports."""
    wanted = call.query.get("report_id")
    reports = [
        one
        for one in _quality(call).reports.values()
        if one.job is not None
        and access.may_see(call.user, one.task, call.state)
        and (wanted is None or wanted in (str(one.id), str(one.parent.id if one.parent else "")))
    ]
    pairs = [(one, each) for one in reports for frame in one.frames for each in frame.conflicts]
    return lists.answered(call, pairs, _CONFLICT_FIELDS, _conflict_shown)


# --- comparing -----------------------------------------------------------------------------------


def _reported(state: State, quality: Quality, settings: Settings, task: Task, gold: Job) -> Report:
    """A report on the task, then one on each of its jobs."""
    assert task.data is not None
    jobs = [job for job in task.jobs if job.type == "annotation"]
    compared = {
        job.id: [
            _compared(job, gold, frame, settings)
            for frame in gold.frames
            if frame in job.frames and frame not in task.data.disabled_frames
        ]
        for job in jobs
    }
    parameters = {
        "included_annotation_types": _KINDS,
        **{name: settings.values[name] for name in _PARAMETERS},
        "ignored_attributes": [],
        "inherited": settings.values["inherit"],
        "job_filter": settings.values["job_filter"],
    }
    reports: list[Report] = []
    everything = [frame for frames in compared.values() for frame in frames]
    targets: list[tuple[Job | None, list[Compared], int, datetime]] = [
        (None, everything, len(task.data.frames), task.updated_at)
    ]
    targets += [(job, compared[job.id], len(job.frames), job.updated_at) for job in jobs]
    for job, frames, total, updated_at in targets:
        report = Report(
            state.next_id("report"),
            task,
            job,
            reports[0] if reports else None,
            frames,
            total,
            state.now(),
            updated_at,
            gold.updated_at,
            parameters,
        )
        reports.append(report)
        quality.reports[report.id] = report
    for conflict in [each for frame in everything for each in frame.conflicts]:
        conflict.id = state.next_id("conflict")
    return reports[0]


def _compared(job: Job, gold: Job, frame: int, settings: Settings) -> Compared:
    names = {label.id: label.name for label in _flat(job.task.labels)}
    drawn = [one for one in job.shapes.values() if one["frame"] == frame]
    truth = [one for one in gold.shapes.values() if one["frame"] == frame]
    pairs = matched(drawn, truth, settings.values["iou_threshold"])
    hit = {id(one) for one, _, _ in pairs} | {id(other) for _, other, _ in pairs}
    extra = [one for one in drawn if id(one) not in hit]
    missing = [one for one in truth if id(one) not in hit]
    conflicts = [Conflict(frame, "extra_annotation", "error", one, job) for one in extra]
    conflicts += [Conflict(frame, "missing_annotation", "error", one, gold) for one in missing]
    conflicts += [
        Conflict(frame, "low_overlap", "warning", one, job)
        for one, _, overlap in pairs
        if overlap < settings.values["low_overlap_threshold"]
    ]
    confusion = Counter((names[one["label_id"]],) * 2 for one, _, _ in pairs)
    confusion += Counter((names[one["label_id"]], "unmatched") for one in extra)
    confusion += Counter(("unmatched", names[one["label_id"]]) for one in missing)
    tags = [
        {t["label_id"] for t in one.tags.values() if t["frame"] == frame} for one in (job, gold)
    ]
    confusion += Counter((names[one],) * 2 for one in tags[0] & tags[1])
    confusion += Counter((names[one], "unmatched") for one in tags[0] - tags[1])
    confusion += Counter(("unmatched", names[one]) for one in tags[1] - tags[0])
    counts = Counter(
        shapes_valid=len(pairs),
        shapes_extra=len(extra),
        shapes_missing=len(missing),
        valid=len(pairs) + len(tags[0] & tags[1]),
        extra=len(extra) + len(tags[0] - tags[1]),
        missing=len(missing) + len(tags[1] - tags[0]),
    )
    return Compared(frame, job, counts, confusion, [pair[2] for pair in pairs], conflicts)


def _flat(labels: list[Label]) -> list[Label]:
    return [one for label in labels for one in (label, *label.sublabels)]


# --- showing -------------------------------------------------------------------------------------


def _totals(frames: list[Compared]) -> tuple[Counter[str], Counter[str], list[Conflict]]:
    counts: Counter[str] = sum((frame.counts for frame in frames), Counter())
    conflicts = [each for frame in frames for each in frame.conflicts]
    return counts, Counter(each.type for each in conflicts), conflicts


def _scores(counts: Counter[str], prefix: str = "") -> dict[str, Any]:
    valid, extra, missing = (counts[prefix + name] for name in ("valid", "extra", "missing"))
    return {
        "valid_count": valid,
        "missing_count": missing,
        "extra_count": extra,
        "total_count": valid + extra + missing,
        "ds_count": valid + extra,
        "gt_count": valid + missing,
    }


def _rates(counts: Counter[str]) -> dict[str, float]:
    valid, extra, missing = counts["valid"], counts["extra"], counts["missing"]
    return {
        "precision": _share(valid, valid + extra),
        "recall": _share(valid, valid + missing),
        "accuracy": _share(valid, valid + extra + missing),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _report_shown(state: State, one: Report) -> dict[str, Any]:
    counts, kinds, conflicts = _totals(one.frames)
    share = _share(len(one.frames), one.total_frames)
    errors = sum(each.severity == "error" for each in conflicts)
    scores = _scores(counts)
    return {
        "id": one.id,
        "job_id": one.job.id if one.job else None,
        "task_id": one.task.id,
        "project_id": one.task.project.id if one.task.project else None,
        "parent_id": one.parent.id if one.parent else None,
        "target": "job" if one.job else "task",
        "summary": {
            "total_frames": one.total_frames,
            "frame_count": len(one.frames),
            "validation_frames": len(one.frames),
            "frame_share": share,
            "validation_frame_share": share,
            "conflict_count": len(conflicts),
            "warning_count": len(conflicts) - errors,
            "error_count": errors,
            "conflicts_by_type": dict(kinds),
            "valid_count": scores["valid_count"],
            "ds_count": scores["ds_count"],
            "gt_count": scores["gt_count"],
            "total_count": scores["total_count"],
            **_rates(counts),
        },
        "created_date": as_text(one.created_at),
        "target_last_updated": as_text(one.target_updated_at),
        "gt_last_updated": as_text(one.gold_updated_at),
        "assignee": shown.person(state, one.job.assignee if one.job else one.task.assignee),
    }


def _data_shown(call: Call, one: Report) -> dict[str, Any]:
    frames = {str(frame.frame): _frame_shown(call, one.task, frame) for frame in one.frames}
    jobs = sorted({frame.job.id for frame in one.frames})
    whole = _results(one.task, one.frames)
    components = whole.pop("annotation_components")
    counted = len(one.frames)
    return {
        "id": one.id,
        "task_id": one.task.id,
        "project_id": one.task.project.id if one.task.project else None,
        "created_date": one.created_at.isoformat(" "),
        "target_last_updated": one.target_updated_at.isoformat(" "),
        "gt_last_updated": one.gold_updated_at.isoformat(" "),
        "assignee": shown.person(call.state, one.job.assignee if one.job else None),
        "parameters": one.parameters,
        "comparison_summary": {
            "frames": [frame.frame for frame in one.frames],
            "total_frames": one.total_frames,
            **whole,
            "annotation_components": components,
            "tasks": None,
            "jobs": {
                "all": jobs,
                "excluded": [],
                "not_checkable": [],
                "included_count": len(jobs),
                "excluded_count": 0,
                "total_count": len(jobs),
                "not_checkable_count": 0,
            },
            "mean_conflict_count": _share(whole["conflict_count"], counted),
            "frame_share": _share(counted, one.total_frames),
            "frame_count": counted,
            "frame_share_percent": 100 * _share(counted, one.total_frames),
        },
        "frame_results": frames,
        "conflicts": [_conflict_data(each) for frame in one.frames for each in frame.conflicts],
    }


def _frame_shown(call: Call, task: Task, frame: Compared) -> dict[str, Any]:
    conflicts = []
    for each in frame.conflicts:
        page = f"{call.state.url}/tasks/{task.id}/jobs/{each.job.id}"
        url = f"{page}?frame={each.frame}&type=shape&serverID={each.shape['id']}"
        conflicts.append(_conflict_data(each) | {"annotation_ids": [_about(each) | {"url": url}]})
    return {"conflicts": conflicts, **_results(task, [frame])}


def _results(task: Task, frames: list[Compared]) -> dict[str, Any]:
    counts, kinds, conflicts = _totals(frames)
    errors = sum(each.severity == "error" for each in conflicts)
    shapes = _scores(counts, "shapes_")
    overlaps = [overlap for frame in frames for overlap in frame.overlaps]
    return {
        "annotations": {
            **_scores(counts),
            "confusion_matrix": _matrix(task, frames),
            **_rates(counts),
        },
        "annotation_components": {
            "shape": {
                **shapes,
                "mean_iou": _share(sum(overlaps), len(overlaps)),
                "accuracy": _share(shapes["valid_count"], shapes["total_count"]),
            },
            "label": {
                "valid_count": counts["valid"],
                "invalid_count": 0,
                "total_count": counts["valid"],
                "accuracy": _share(counts["valid"], counts["valid"]),
            },
        },
        "warning_count": len(conflicts) - errors,
        "conflicts_by_type": dict(kinds),
        "conflict_count": len(conflicts),
        "error_count": errors,
    }


def _matrix(task: Task, frames: list[Compared]) -> dict[str, Any]:
    names = [label.name for label in task.labels] + ["unmatched"]
    found: Counter[tuple[str, str]] = sum((frame.confusion for frame in frames), Counter())
    rows = [[found[row, column] for column in names] for row in names]
    total = sum(map(sum, rows))
    hits = [rows[place][place] for place in range(len(names))]
    in_rows = [sum(row) for row in rows]
    in_columns = [sum(row[place] for row in rows) for place in range(len(names))]
    either = [
        row + column - hit for row, column, hit in zip(in_rows, in_columns, hits, strict=True)
    ]
    wrong = [total - each + hit for each, hit in zip(either, hits, strict=True)]
    return {
        "labels": names,
        "rows": rows,
        "axes": {"cols": "gt", "rows": "ds"},
        "precision": [_share(hit, of) for hit, of in zip(hits, in_rows, strict=True)],
        "recall": [_share(hit, of) for hit, of in zip(hits, in_columns, strict=True)],
        "accuracy": [_share(right, total) for right in wrong],
        "jaccard_index": [_share(hit, of) for hit, of in zip(hits, either, strict=True)],
    }


def _conflict_data(one: Conflict) -> dict[str, Any]:
    return {
        "frame_id": one.frame,
        "type": one.type,
        "annotation_ids": [_about(one)],
        "severity": one.severity,
    }


def _about(one: Conflict) -> dict[str, Any]:
    return {
        "obj_id": one.shape["id"],
        "job_id": one.job.id,
        "type": "shape",
        "shape_type": one.shape["type"],
    }


def _conflict_shown(pair: tuple[Report, Conflict]) -> dict[str, Any]:
    report, one = pair
    return {
        "id": one.id,
        "frame": one.frame,
        "type": one.type,
        "annotation_ids": [_about(one)],
        "report_id": report.id,
        "severity": one.severity,
    }


def _settings_shown(one: Settings) -> dict[str, Any]:
    return {
        "id": one.id,
        "task_id": one.task.id,
        "project_id": None,
        **one.values,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
    }


def _quality(call: Call) -> Quality:
    found: Quality = call.request.app.state.quality
    return found


def _settings(call: Call, task: Task) -> Settings:
    known = _quality(call).settings
    if task.id not in known:
        now = call.state.now()
        known[task.id] = Settings(call.state.next_id("quality"), task, now, now)
    return known[task.id]


def _settings_by_id(call: Call, settings_id: int) -> Settings:
    for one in _quality(call).settings.values():
        if one.id == settings_id:
            access.task(call, one.task.id)
            return one
    raise not_found("QualitySettings")


def _report(call: Call, report_id: int) -> Report:
    report = _quality(call).reports.get(report_id)
    if report is None:
        raise not_found("QualityReport")
    access.task(call, report.task.id)
    return report
