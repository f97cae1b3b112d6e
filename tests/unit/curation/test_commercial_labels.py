"""From pictures to a selection, with real models: which profile's labels commerce may have."""

from datetime import UTC, datetime
from pathlib import Path

from annotation.prelabel import PrelabelParams, prelabel
from curation.gates import SelectParams
from curation.records import Selected
from curation.select import select
from faces.profiles import load_profile
from mirrorset.files import read_parts, read_records, write_records
from mirrorset.records import Annotation, Reason, Rejected, Verdict

AT = datetime(2026, 11, 25, tzinfo=UTC)


def labelled_by(name: str, cache: Path, snapshot: Path, portraits) -> None:
    """Put the profile's labels and verdicts of the portraits into the snapshot."""
    profile = load_profile(name, cache)
    params = PrelabelParams(profile=name)
    records = [
        record
        for portrait in sorted(portraits, key=lambda one: one.image.image_id)
        for record in prelabel(portrait.image.image_id, portrait.content, profile, params, AT)
    ]
    for kind, file in ((Annotation, "annotations"), (Verdict, "verdicts")):
        write_records(
            snapshot / file / "00000.jsonl", [one for one in records if isinstance(one, kind)]
        )


def test_commercial_labels_serve_commerce(portraits, snapshot_of, model_cache, tmp_path):
    snapshot = snapshot_of(portraits[:2])
    labelled_by("commercial", model_cache, snapshot, portraits[:2])
    counts = select(snapshot, tmp_path / "work", "commercial", SelectParams())
    assert counts.kept == 2
    for selected in read_parts(tmp_path / "work/selected", Selected):
        assert selected.annotation.by == "commercial"
        assert all(model.is_commercial_use_allowed for model in selected.annotation.models)


def test_research_labels_do_not_and_are_named(portraits, snapshot_of, model_cache, tmp_path):
    snapshot = snapshot_of(portraits[:2])
    labelled_by("research", model_cache, snapshot, portraits[:2])
    assert select(snapshot, tmp_path / "work", "research", SelectParams()).kept == 2
    counts = select(snapshot, tmp_path / "other", "commercial", SelectParams())
    assert (counts.kept, counts.rejected) == (0, {Reason.MODEL_LICENCE: 2})
    for rejected in read_records(tmp_path / "other/rejected.jsonl", Rejected):
        assert rejected.detail.startswith(
            "Its labels come from 2d106det (InsightFace non-commercial research), "
            "scrfd_500m_bnkps (InsightFace non-commercial research), which may not be used "
        )
