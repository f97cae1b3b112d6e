from collections.abc import Callable

import pytest

from faces.matching import match_faces
from mirrorset.records import Face


@pytest.fixture
def make_face() -> Callable[..., Face]:
    """A face in a box of 200 px whose left side is at `left` px."""

    def make(face_id: str = "0", left: float = 100) -> Face:
        return Face(face_id=face_id, box=(left, 80, left + 200, 280), score=0.9)

    return make


def test_nobody_matches_nobody(make_face) -> None:
    assert match_faces((), ()) == ((), (), ())
    face = make_face()
    assert match_faces((face,), ()) == ((), (face,), ())
    assert match_faces((), (face,)) == ((), (), (face,))


def test_new_faces_are_matched_by_place_whatever_their_numbers(make_face) -> None:
    one, two = make_face("1", left=0), make_face("2", left=300)
    other_two, other_one = make_face("1", left=305), make_face("2", left=5)
    assert match_faces((one, two), (other_two, other_one)).pairs == (
        (one, other_one),
        (two, other_two),
    )


def test_a_bad_box_is_still_its_face(make_face) -> None:
    here, off = make_face("0", left=100), make_face("0", left=280)
    assert match_faces((here,), (off,)).pairs == ((here, off),)
    stranger = make_face("1", left=280)
    assert match_faces((here,), (stranger,)).pairs == ()
    assert match_faces((here,), (make_face("0", left=310),)).pairs == ()


def test_of_two_that_overlap_the_one_of_the_same_id_goes_first(make_face) -> None:
    face = make_face("0", left=100)
    same, nearer = make_face("0", left=120), make_face("1", left=101)
    assert match_faces((face,), (nearer, same)) == (((face, same),), (), (nearer,))
