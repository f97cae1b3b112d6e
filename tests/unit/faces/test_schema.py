"""Landmark schemas: complete, symmetric, derivable."""

import numpy as np
import pytest

from faces.schema import load_schema
from mirrorset.errors import SettingsError

COUNTS = {"face5": 5, "ibug68": 68, "face106": 106, "mesh478": 478}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_every_point_has_a_name_a_mirror_and_known_neighbours(name: str, count: int) -> None:
    schema = load_schema(name)
    assert schema.name == name
    assert len(schema.names) == len(set(schema.names)) == count
    assert [schema.mirror[schema.mirror[index]] for index in range(count)] == list(range(count))
    assert all(0 <= index < count for edge in schema.edges for index in edge)
    left, right = schema.outer_corners
    assert left in schema.eye_left
    assert right in schema.eye_right
    assert schema.mirror[left] == right
    assert {schema.mirror[index] for index in schema.eye_left} == set(schema.eye_right)


@pytest.mark.parametrize("name", COUNTS)
def test_edges_mirror_onto_edges(name: str) -> None:
    schema = load_schema(name)
    edges = {frozenset(edge) for edge in schema.edges}
    assert len(edges) == len(schema.edges) > 0
    assert all(len(edge) == 2 for edge in edges)
    assert {frozenset(schema.mirror[index] for index in edge) for edge in edges} == edges


@pytest.mark.parametrize("name", ["face5", "ibug68", "face106"])
def test_edges_miss_no_point_but_pupils(name: str) -> None:
    schema = load_schema(name)
    lone = set(range(len(schema.names))) - {index for edge in schema.edges for index in edge}
    pupils = {i for i, each in enumerate(schema.names) if "pupil" in each or "centre" in each}
    assert lone == pupils


@pytest.mark.parametrize("name", ["ibug68", "face106"])
def test_names_mirror_left_to_right(name: str) -> None:
    schema = load_schema(name)
    for index, mirrored in enumerate(schema.mirror):
        sides = [
            next((side for side in ("left", "right") if side in schema.names[i]), None)
            for i in (index, mirrored)
        ]
        assert sides in ([None, None], ["left", "right"], ["right", "left"])


@pytest.mark.parametrize(
    ("name", "source"), [(n, s) for n in ("ibug68", "face5") for s in load_schema(n).derived_from]
)
def test_a_derivation_commutes_with_mirroring(name: str, source: str) -> None:
    schema, origin = load_schema(name), load_schema(source)
    points = np.random.default_rng(0).normal(size=(len(origin.names), 2))
    mirrored = points[list(origin.mirror)] * (-1, 1)
    derived = schema.derive(points, source)
    again = schema.derive(mirrored, source)[list(schema.mirror)] * (-1, 1)
    np.testing.assert_allclose(derived, again, atol=1e-12)


def test_checked_indices_of_the_68() -> None:
    """Looked at on drawn overlays, one by one."""
    schema = load_schema("ibug68")
    of_68 = (36, 39, 42, 45, 30, 48, 54, 51, 57, 8)
    checked = {
        "face106": (35, 39, 89, 93, 86, 52, 61, 71, 53, 0),
        "mesh478": (33, 133, 362, 263, 4, 61, 291, 0, 17, 152),
    }
    for source, indices in checked.items():
        assert [schema.derived_from[source][i] for i in of_68] == [(index,) for index in indices]


def test_an_unknown_schema_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="face106, face5, ibug68, mesh478"):
        load_schema("ibug86")
