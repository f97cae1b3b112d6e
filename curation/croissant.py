"""croissant.json: a release in the words of Croissant 1.1 and of its vocabulary for responsible AI.

The record sets follow from the columns of the shards (`curation.images`, `curation.labels`).
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.documents import Tally
from curation.images import IMAGES
from curation.labels import LABELS
from mirrorset.files import write_text
from mirrorset.params import DatasetParams, Responsible

_CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
# As the specification's appendix gives it, with what mlcroissant asks for beyond.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
} | {
    term: f"cr:{term}"
    for term in (
        *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty"),
        *("excludes", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
        *("includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path"),
        *("readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
        *("sdVersion", "separator", "source", "subField", "transform", "unArchive", "value"),
    )
}
_FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
}
_TYPES = {
    pa.string(): "sc:Text",
    pa.bool_(): "sc:Boolean",
    pa.int8(): "sc:Integer",
    pa.int32(): "sc:Integer",
    pa.float64(): "sc:Float",
    pa.timestamp("us", tz="UTC"): "sc:DateTime",
    pa.binary(): "sc:ImageObject",
}
_SPLITS = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}

_NAME_AND_VALUE = {"name": "Its name.", "value": "Its value."}
_FACE = {
    "face_id": "Unique within the image.",
    "box": "xyxy in px of the upright image.",
    "score": "The detector's, 0 to 1.",
    "landmarks/schema": "Which points these are: labels.json names them in order.",
    "landmarks/points": "xy in px of the upright image.",
    "landmarks/visibility": "2 visible, 1 hidden, 0 outside the image.",
    "landmarks/confidence": "Probability of each point to be in its place; 1 by a person.",
    "uncertainty": "Expected NME of a machine's eyes, nose and mouth.",
    "pose/yaw_deg": "Positive where the nose points to the image's right.",
    "pose/pitch_deg": "Positive where the nose points up.",
    "pose/roll_deg": "Positive where the head leans to the image's right.",
    "lighting/side": "Where the light comes from, in image terms.",
    "lighting/level": "Mean linear luminance of the face, 0 to 1.",
    "lighting/evenness": "1 for equally lit sides.",
    "lighting/colour_cast": "log2 of red over blue of the light.",
    "quality/inter_eye_distance_px": "Between the eyes' centres.",
    "quality/head_size": "From between the eyes to the chin, over the image's height.",
    "quality/sharpness": "Variance of the Laplacian, on the face scaled to 128 px.",
    "quality/luminance_mean": "Linear, 0 to 1.",
    "quality/luminance_variance": "Linear.",
    "quality/under_exposure": "Share of black face pixels.",
    "quality/over_exposure": "Share of white face pixels.",
    "quality/dynamic_range": "Entropy of the luminance in bits, 0 to 8.",
    "quality/illumination_uniformity": "What the cheeks' luminances have in common, 0 to 1.",
    "quality/eyes_open": "Opening of the less open eye over eyes to chin.",
    "quality/mouth_closed": "Opening of the lips over eyes to chin, 0 for a closed mouth.",
    "quality/margin_left": "Nearer eye to the image's left edge, in distances of the eyes.",
    "quality/margin_right": "Nearer eye to the image's right edge, in distances of the eyes.",
    "quality/margin_above": "Between the eyes to the upper edge, in distances to the chin.",
    "quality/margin_below": "Between the eyes to the lower edge, in distances to the chin.",
    **{f"blendshapes/{name}": words for name, words in _NAME_AND_VALUE.items()},
    **{f"attributes/{name}": words for name, words in _NAME_AND_VALUE.items()},
}
_WORDS = {
    "images/image_id": "sha256 of the original bytes.",
    "images/bytes": "The picture without location and device traces.",
    "images/media_type": "Of the bytes.",
    "images/width_px": "Upright, in px.",
    "images/height_px": "Upright, in px.",
    "labels/image_id": "Of the image in `images`.",
    "labels/split": "train, val or test.",
    "labels/group_id": "Near-duplicates share it; a group lies in one split.",
    "labels/image_shard": "Number of the file in images/ that has the picture.",
    "labels/test_series": "The frozen series of test images that it belongs to, or nothing.",
    "labels/width_px": "Upright, in px.",
    "labels/height_px": "Upright, in px.",
    **{f"labels/faces/{name}": words for name, words in _FACE.items()},
    **{f"labels/tags/{name}": words for name, words in _NAME_AND_VALUE.items()},
    "labels/masks/label": "What the region is.",
    "labels/masks/left": "First column of its box, in px.",
    "labels/masks/top": "First row of its box, in px.",
    "labels/masks/right": "Last column of its box, in px.",
    "labels/masks/bottom": "Last row of its box, in px.",
    "labels/masks/rle": "Lengths of runs over the box, row by row, beginning with background.",
    "labels/origin": "model until a person has looked, then human or gold.",
    "labels/by": "The profile of models, or the annotator's pseudonym.",
    "labels/models/name": "A model whose output is among the labels.",
    "labels/models/sha256": "Of its weights.",
    "labels/models/licence": "Of its weights.",
    "labels/models/is_commercial_use_allowed": "By that licence.",
    "labels/schema_version": "Of the label schema.",
    "labels/made_at": "When the labels were made.",
    "labels/licence_code": "Of the picture.",
    "labels/licence_version": "Of the licence.",
    "labels/licence_url": "Text of the licence.",
    "labels/author": "Of the picture.",
    "labels/source": "Where the picture was found.",
    "labels/source_item_id": "Its id there.",
    "labels/page_url": "Its page there.",
}


def write_croissant(
    path: Path,
    tally: Tally,
    checksums: dict[str, str],
    gaps: list[str],
    *,
    dataset: DatasetParams,
    version: str,
    responsible: Responsible,
) -> None:
    """Write croissant.json to `path`.

    checksums: sha256 of the release's files by name; of croissant.json itself there can be none.
    gaps: what the release lacks, a sentence each. Whoever is not named in `responsible`, and a page
    that `dataset` does not give, are left out.
    """
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS_TO,
        "name": dataset.name,
        "description": _description(tally, dataset),
        "version": version,
        "license": sorted({url or name for name, url in tally.licences}),
        # No clock: what was built again has to be the same to the byte.
        "datePublished": f"{tally.last_at:%Y-%m-%d}",
        "inLanguage": "en",
        "keywords": ["faces", "facial landmarks", "head pose", "lighting"],
    }
    if dataset.url:
        described["url"] = dataset.url
    if responsible.controller:
        described["creator"] = {"@type": "sc:Organization", "name": responsible.controller}
    described |= _responsible_ai(tally, gaps, dataset, responsible)
    described["distribution"] = [*_file_sets(), *_files(checksums)]
    described["recordSet"] = [
        _splits(),
        _record_set("images", "The pictures, one a row.", IMAGES),
        _record_set("labels", "What is known of each picture, one a row.", LABELS),
    ]
    write_text(path, json.dumps(described, indent=1) + "\n")


def _description(tally: Tally, dataset: DatasetParams) -> str:
    return (
        f"{tally.images} openly licensed pictures of faces with boxes, landmarks, head pose, "
        f"lighting and quality, for {dataset.intended_use} use. DATASHEET.md says what must be "
        "known to use them."
    )


def _responsible_ai(
    tally: Tally, gaps: list[str], dataset: DatasetParams, responsible: Responsible
) -> dict[str, Any]:
    """The rai: properties of which something is known."""
    sources = ", ".join(f"{name} ({count})" for name, count in sorted(tally.sources.items()))
    unreviewed = tally.unreviewed.total()
    known: dict[str, Any] = {
        "dataCollection": "Pictures whose licence allows the intended use, each with a receipt of "
        f"author, licence and page in ATTRIBUTION.csv. Sources, with images: {sources}.",
        "dataCollectionTimeframe": [f"{at:%Y-%m-%d}" for at in tally.collected],
        "dataPreprocessingProtocol": [
            "Images are selected by gates on licence, opt-outs, doubt of age, size of the face, "
            "sharpness, exposure, pose and occlusion.",
            "Near-duplicates share a group, and a group lies in one split in all versions.",
        ],
        "dataManipulationProtocol": "Location, device data, comments and thumbnails are stripped; "
        "pixels are as they were.",
        "dataAnnotationProtocol": [
            "Labels are made by models and corrected by people; the column origin says by whom. "
            f"No person has looked at the labels of {unreviewed} of {tally.images} images."
        ],
        "machineAnnotationTools": [
            f"{model.name} {model.sha256[:12]} ({model.licence})"
            for model in sorted(tally.models.values(), key=lambda one: (one.name, one.sha256))
        ],
        "dataUseCases": [f"{dataset.intended_use.capitalize()}: face detection and landmarks."],
        "dataLimitations": ["Not for recognising people: a licence is not their consent."],
        "dataBiases": gaps,
        "personalSensitiveInformation": [
            "Faces are personal data. No identity embedding and no estimated age is in it."
        ],
        "dataReleaseMaintenancePlan": _maintenance(responsible),
    }
    if unreviewed < tally.images:
        known["dataAnnotationPlatform"] = ["CVAT"]
    return {f"rai:{name}": value for name, value in known.items() if value}


def _maintenance(responsible: Responsible) -> str:
    plan = ["A version does not change."]
    if responsible.contact:
        plan.append(f"Who is shown and wants to be removed turns to {responsible.contact}.")
    if responsible.retention_days:
        plan.append(f"Images are kept for {responsible.retention_days} days.")
    return " ".join(plan)


def _file_sets() -> Iterator[dict[str, Any]]:
    for name in ("images", "labels"):
        yield {
            "@type": "cr:FileSet",
            "@id": f"{name}-shards",
            "name": f"{name}-shards",
            "description": f"All of {name}/.",
            "encodingFormat": _FORMATS[".parquet"],
            "includes": f"{name}/*.parquet",
        }


def _files(checksums: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name, sha256 in sorted(checksums.items()):
        if name == "croissant.json":
            continue
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _FORMATS[Path(name).suffix],
            "sha256": sha256,
        }


def _splits() -> dict[str, Any]:
    names = {"splits/name": "sc:Text", "splits/url": ["sc:URL", "cr:Split"]}
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": name, "name": name, "dataType": kind}
            for name, kind in names.items()
        ],
        "data": [{"splits/name": name, "splits/url": url} for name, url in _SPLITS.items()],
    }


def _record_set(name: str, description: str, schema: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "key": {"@id": f"{name}/image_id"},
        "field": [_column(name, column) for column in schema],
    }


def _column(record_set: str, column: pa.Field) -> dict[str, Any]:
    """A column; one of structs has their leaves as sub-fields, each by its path in a struct."""
    name = f"{record_set}/{column.name}"
    source = {"fileSet": {"@id": f"{record_set}-shards"}, "extract": {"column": column.name}}
    kind, shape = _element(column.type)
    if not pa.types.is_struct(kind):
        return _leaf(name, kind, shape, source)
    return _array(shape) | {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "subField": [
            _leaf(f"{name}/{path}", leaf, inner, source | {"transform": {"jsonPath": json_path}})
            for path, json_path, leaf, inner in _leaves(kind)
        ],
    }


def _leaf(
    name: str, kind: pa.DataType, shape: tuple[int, ...], source: dict[str, Any]
) -> dict[str, Any]:
    types = [_TYPES[kind]]
    if name.endswith("/box"):
        types.append("cr:BoundingBox")
    leaf = {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": _WORDS[name],
        "dataType": types if len(types) > 1 else types[0],
        "source": source,
    }
    if name == "labels/split":
        leaf["references"] = {"field": {"@id": "splits/name"}}
    return leaf | _array(shape)


def _array(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}


def _leaves(struct: pa.StructType) -> Iterable[tuple[str, str, pa.DataType, tuple[int, ...]]]:
    """Path, JSONPath, type and shape of all that is no struct below `struct`."""
    for field in struct:
        kind, shape = _element(field.type)
        if not pa.types.is_struct(kind):
            yield field.name, field.name, kind, shape
            continue
        step = f"{field.name}[*]" if shape else field.name
        for path, json_path, leaf, inner in _leaves(kind):
            yield f"{field.name}/{path}", f"{step}.{json_path}", leaf, (*shape, *inner)


def _element(kind: pa.DataType) -> tuple[pa.DataType, tuple[int, ...]]:
    """The type in lists of any depth, and their shape, −1 where the length varies."""
    shape: tuple[int, ...] = ()
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape += (kind.list_size if pa.types.is_fixed_size_list(kind) else -1,)
        kind = kind.value_type
    return kind, shape
