from annotation.linking import assign_face_ids, assign_skeletons

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def test_nothing_to_assign() -> None:
    assert assign_face_ids([], [], {"0": LEFT}) == []
    assert assign_skeletons([], [], [LEFT], ["0"]) == []


def test_declared_ids_stand() -> None:
    assert assign_face_ids([LEFT, RIGHT], ["7", "3"], {}) == ["7", "3"]


def test_of_two_copies_the_one_in_place_keeps_the_id() -> None:
    assert assign_face_ids([RIGHT, LEFT], ["0", "0"], {"0": LEFT}) == ["1", "0"]


def test_a_new_box_gets_a_number_nobody_had() -> None:
    assert assign_face_ids([LEFT, RIGHT], ["", ""], {"0": LEFT, "4": (80, 80, 90, 90)}) == [
        "0",
        "5",
    ]


def test_skeleton_goes_to_the_box_that_declares_its_id() -> None:
    inside_left = [(1.0, 1.0), (2.0, 2.0)]
    assert assign_skeletons([inside_left], ["1"], [LEFT, RIGHT], ["0", "1"]) == [1]


def test_skeleton_without_an_id_goes_where_its_points_are() -> None:
    assert assign_skeletons([[(51.0, 1.0)]], [""], [LEFT, RIGHT], ["0", "1"]) == [1]


def test_skeleton_nowhere_near_a_box_has_none() -> None:
    assert assign_skeletons([[(500.0, 500.0)]], [""], [LEFT], ["0"]) == [None]


def test_a_box_takes_one_skeleton() -> None:
    assert assign_skeletons([[(1.0, 1.0)]] * 2, ["0", "0"], [LEFT], ["0"]) == [0, None]
