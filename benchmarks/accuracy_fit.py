"""The calibration of expected error, and what it is worth on people it was not fitted on."""

from collections.abc import Sequence

import numpy as np
from accuracy_london import IBUG68, Looked
from numpy.typing import NDArray
from scipy.optimize import nnls

from faces.landmarks import SHARED
from faces.uncertainty import Calibration, expected_error

Floats = NDArray[np.float64]
_STEPS = 60
_LEAST = 0.004


def calibrate(faces: Sequence[Looked]) -> dict[str, Calibration]:
    """FACE106, MESH478 and JOINED of faces.uncertainty, fitted on `faces`."""
    rows: dict[str, list[tuple[Floats, float]]] = {"FACE106": [], "MESH478": [], "JOINED": []}
    for face in faces:
        seen, nothing = face.seen, np.zeros(68)
        assert seen.points106 is not None
        errors = face.errors(seen.points106)
        rows["FACE106"] += _rows(seen.mirror106, seen.mirror106, nothing, errors)
        if seen.points478 is not None:
            errors = face.errors(seen.points478)
            rows["MESH478"] += _rows(seen.mirror478, seen.mirror478, nothing, errors)
            errors = face.errors(face.ours.points)
            rows["JOINED"] += _rows(seen.mirror478, seen.mirror478[SHARED], seen.between, errors)
    return {name: _fitted(of_model) for name, of_model in rows.items()}


def expected_elsewhere(faces: Sequence[Looked]) -> list[Floats]:
    """For each of `faces` the expected errors (68,) by a calibration on all other people."""
    fitted = {
        person: calibrate([face for face in faces if face.person != person])
        for person in {face.person for face in faces}
    }
    expected = []
    for face in faces:
        seen, of_others = face.seen, fitted[face.person]
        of_face = expected_error(of_others["FACE106"], seen.mirror106)
        if seen.points478 is not None:
            of_face[SHARED] = expected_error(
                of_others["JOINED"], seen.mirror478[SHARED], seen.between[SHARED]
            )
        expected.append(of_face)
    return expected


def _rows(
    mirror: Floats, of_face: Floats, between: Floats, errors: Floats
) -> list[tuple[Floats, float]]:
    """For each measured point what the calibration weighs, and the error."""
    is_lone = bool(np.isnan(mirror).any())
    apart, mean = np.nan_to_num(mirror, nan=0.0), np.nan_to_num(of_face, nan=0.0).mean()
    return [
        (np.array([1, apart[index], mean, between[index], is_lone]), error)
        for index, error in zip(IBUG68, errors, strict=True)
    ]


def _fitted(rows: Sequence[tuple[Floats, float]]) -> Calibration:
    """Non-negative least squares, reweighted to a variance that grows with the square of the mean:
    the maximum of the quasi-likelihood of a gamma distribution (McCullagh and Nelder, "Generalized
    linear models", 1989, chapter 8).
    """
    design, errors = np.array([row for row, _ in rows]), np.array([error for _, error in rows])
    mean = np.full(len(errors), errors.mean())
    for _ in range(_STEPS):
        found, _ = nnls(design / mean[:, None], errors / mean)
        mean = np.maximum(design @ found, _LEAST)
    floor, own, of_face, between, lone = (float(value) for value in found)
    return Calibration(
        floor=floor, own=own, mean=of_face, between=between, lone=lone / max(own + of_face, 1e-9)
    )
