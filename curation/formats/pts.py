"""300-W: SPLIT/IMAGE_ID_N.jpg and beside each the points of one face, SPLIT/IMAGE_ID_N.pts."""

from pathlib import Path

from curation.formats.picture import Splits
from faces.schema import LandmarkSchema
from mirrorset.records import Xy


def write(folder: Path, splits: Splits, schema: LandmarkSchema) -> int:
    """One picture and one file of points a face, N from 1, as 300-W's part AFW has them.

    The markup of ibug.doc.ic.ac.uk/resources/300-W: `version: 1`, `n_points: 68`, then x and y a
    line in braces, made in MATLAB: (1, 1) is the centre of the top-left pixel (menpo takes 1 off on
    reading). It has no box and no visibility: points that are hidden or outside are written where
    they are held to be. A face without points of `schema` is left out.
    """
    written = 0
    for split, pictures in splits.items():
        (folder / split).mkdir()
        for picture in pictures:
            for number, face in enumerate(picture.item.faces, start=1):
                if landmarks := face.landmarks.get(schema.name):
                    stem = f"{picture.item.image_id}_{number}"
                    (folder / split / f"{stem}.{picture.suffix}").write_bytes(picture.content)
                    (folder / split / f"{stem}.pts").write_text(
                        _markup(landmarks.points), encoding="ascii"
                    )
                    written += 1
    return written


def _markup(points: tuple[Xy, ...]) -> str:
    lines = (f"{x + 0.5:.6f} {y + 0.5:.6f}" for x, y in points)
    return "\n".join(["version: 1", f"n_points: {len(points)}", "{", *lines, "}", ""])
