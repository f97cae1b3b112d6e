"""DATASHEET.md: what is in a release, where it came from, and what must be known to use it."""

from collections.abc import Iterable, Sequence

from curation.coverage import at_least
from curation.coverage import gaps as coverage_gaps
from curation.documents import Tally
from faces.slices import GRID, LIGHTINGS, POSES, SELFIES, SMALLEST_CELL, UNKNOWN, Slice, suppressed
from mirrorset.markup import escaped
from mirrorset.params import Responsible
from mirrorset.records import IntendedUse


def datasheet(
    title: str, digest: str, tally: Tally, use: IntendedUse, responsible: Responsible
) -> str:
    """The datasheet of the release `title` as Markdown; aggregates only.

    What `responsible` leaves open is printed as "not stated".
    """
    sections = {
        "Review state": _review(tally),
        "Intended use": [_use(use)],
        "Composition": _composition(tally),
        "Slices": _slices(tally),
        "Coverage": _coverage(tally),
        "Licences": _licences(tally),
        "Labels": _models(tally),
        "Known gaps": [f"- {gap}" for gap in gaps(tally)],
        "Responsible": _responsible(responsible),
    }
    parts = [f"# {title}", f"Content digest `{digest}`."]
    for heading, lines in sections.items():
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _review(tally: Tally) -> list[str]:
    unreviewed = tally.unreviewed.total()
    if unreviewed == tally.images:
        summary = "**Unreviewed.** No person has looked at any label: all are a model's output."
    elif unreviewed:
        summary = (
            f"**Partly unreviewed.** No person has looked at the labels of {unreviewed} of "
            f"{tally.images} images."
        )
    else:
        summary = "People have looked at the labels of all images."
    test, unreviewed_test = tally.splits["test"], tally.unreviewed["test"]
    lines = [summary, f"Of the {test} images of the test split {unreviewed_test} are unreviewed."]
    if unreviewed_test:
        lines.append(
            "**This release is declared unreviewed**: by `dataset.is_unreviewed`, labels that no "
            "person has looked at are in its test split. What is measured on them is agreement "
            "with a model."
        )
    return lines


def _use(use: IntendedUse) -> str:
    if use == "commercial":
        return "Commercial use: licences of images and of model weights have been held against it."
    return (
        "Research. Some licences or model weights may forbid commercial use; see the tables below. "
        "The licence of an image is not the consent of the person it shows: do not use this "
        "dataset to recognise people."
    )


def _composition(tally: Tally) -> list[str]:
    rows = [
        [split, tally.splits[split], tally.unreviewed[split]] for split in ("train", "val", "test")
    ]
    return [
        f"{tally.images} images of faces in {tally.groups} groups: near-duplicates share one, "
        "and so do pictures known to show one person. A group lies in one split, and stays there "
        "in all versions.",
        "",
        *_table(["split", "images", "unreviewed"], rows),
        "",
        *_series(tally),
        "Location and device traces were removed from the images; originals are not part of the "
        "release.",
    ]


def _series(tally: Tally) -> list[str]:
    name, images = tally.series
    if not name:
        return []
    return [
        f"Test series {name}, frozen: {tally.series_left} of the {images} images that it began "
        "with. Results on it compare from version to version.",
        "",
    ]


def _slices(tally: Tally) -> list[str]:
    cells = suppressed(tally.slices, GRID)
    selfies = suppressed(tally.selfies, SELFIES)
    rows = [[pose, *(_cell(cells[Slice(pose, light)]) for light in LIGHTINGS)] for pose in POSES]
    return [
        "Head pose (rows: where the nose points) by lighting (columns: where the light comes "
        f"from), in image terms, of the main face. “–” withholds small counts: under "
        f"{SMALLEST_CELL}, and as many more as keep these from being worked out.",
        "",
        *_table(["pose", *LIGHTINGS], rows),
        "",
        "Likeness to a selfie: one main face, large in the frame, in the perspective of an arm's "
        "length. A measure of the picture, not a statement about how it was taken.",
        "",
        *_table(["selfie", "images"], [[cell, _cell(count)] for cell, count in selfies.items()]),
    ]


def _coverage(tally: Tally) -> list[str]:
    sums = at_least(tally.cells)
    rows = [
        [axis.replace("_", " "), name, _cell(count)]
        for axis, values in sums.items()
        if axis not in Slice._fields
        for name, count in values.items()
    ]
    return [
        "Images by size of the main face (px between the eyes), tone and age band, at least: what "
        "the cells of pose, lighting, size, tone and age band that may be told, of "
        f"{SMALLEST_CELL} images or more, hold in sum. “–” is withheld. Tone and age band "
        "are what a source or an annotator says; none is estimated.",
        "",
        *_table(["axis", "value", "images, at least"], rows),
    ]


def _licences(tally: Tally) -> list[str]:
    rows = [[name, url, count] for (name, url), count in sorted(tally.licences.items())]
    sources = ", ".join(f"{name} ({count})" for name, count in sorted(tally.sources.items()))
    return [
        "ATTRIBUTION.csv names author, licence and page of every image.",
        "",
        *_table(["licence", "text", "images"], rows),
        "",
        f"Sources: {sources}.",
    ]


def _models(tally: Tally) -> list[str]:
    rows = [
        [
            model.name,
            model.sha256[:12],
            model.licence,
            "yes" if model.is_commercial_use_allowed else "no",
        ]
        for model in sorted(tally.models.values(), key=lambda model: (model.name, model.sha256))
    ]
    return [
        f"Landmark schemas: {', '.join(sorted(tally.landmarks)) or 'none'} (labels.json gives "
        "names, order and mirror pairs). Models whose output is among the labels:",
        "",
        *_table(["model", "weights sha256", "licence of the weights", "commercial use"], rows),
    ]


def gaps(tally: Tally) -> list[str]:
    """What the release lacks, a sentence each."""
    cells = suppressed(tally.slices, GRID).items()
    selfies = suppressed(tally.selfies, SELFIES).items()
    named = "; ".join(
        [
            f"pose {cell.pose}, light {cell.lighting}"
            for cell, count in cells
            if not count and UNKNOWN not in cell
        ]
        + [f"selfie {cell}" for cell, count in selfies if not count and cell != UNKNOWN]
    )
    return [
        f"Slices with no or hardly any images: {named or 'none'}.",
        *coverage_gaps(tally.cells),
        "Apparent age is used only to keep minors out; no age is recorded.",
    ]


def _responsible(responsible: Responsible) -> list[str]:
    return [
        f"- {name.replace('_', ' ').capitalize()}: {escaped(str(value)) if value else 'not stated'}"
        for name, value in responsible
    ]


def _cell(count: int | None) -> str:
    return "–" if count is None else str(count)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = ([escaped(str(cell)) for cell in row] for row in rows)
    return ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *cells)]
