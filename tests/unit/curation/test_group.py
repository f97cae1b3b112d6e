import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curation.gates import SelectParams
from curation.group import Components, GroupParams, Hashed, group, near_duplicates
from curation.hashes import close_pairs, words
from curation.ledger import LedgerParams, mint
from curation.records import GroupMember
from curation.select import select
from mirrorset.files import read_records
from mirrorset.pixels import hamming
from mirrorset.records import utc_now


@pytest.fixture
def grouped(snapshot_of, blobs, tmp_path):
    def run(portraits, ledger=(), **params):
        snapshot = snapshot_of(portraits, ledger=ledger)
        select(snapshot, tmp_path, "research", SelectParams())
        counts = group(snapshot, tmp_path, blobs, GroupParams(**params))
        members = {m.image_id: m.key for m in read_records(tmp_path / "groups.jsonl", GroupMember)}
        assert counts.images == len(members)
        assert counts.groups == len(set(members.values()))
        return members

    return run


def squashed(portrait, share):
    width, height = portrait.picture.size
    low = portrait.picture.resize((width, round(height * share)))
    return portrait.but(picture=low, five=portrait.five * (1, low.height / height))


def turned_and_misread(portrait, quarters):
    """Turned by quarters; the points stay where they were, as a model's do that expects no roll."""
    rgb = np.rot90(np.asarray(portrait.picture), quarters)
    return portrait.but(picture=Image.fromarray(np.ascontiguousarray(rgb)))


def test_people_stay_apart_and_keys_are_the_smallest_id(portraits, grouped):
    members = grouped(portraits)
    assert len(members) == 8
    assert all(key == image_id for image_id, key in members.items())


@pytest.mark.parametrize(
    "copy",
    [
        lambda portrait: portrait.reencoded(40),
        lambda portrait: portrait.mirrored(),
        lambda portrait: portrait.cropped(0.1, 0.02, 0.05, 0.18),
        lambda portrait: portrait.cropped(0.2, 0.1, 0.1, 0.2).mirrored().reencoded(60),
        lambda portrait: squashed(portrait, 0.85),
        lambda portrait: turned_and_misread(portrait, 1),
        lambda portrait: turned_and_misread(portrait, 3),
    ],
)
def test_copies_join_their_original_and_no_one_else(portraits, grouped, copy):
    copies = [copy(portrait) for portrait in portraits]
    members = grouped([*portraits, *copies])
    for original, duplicate in zip(portraits, copies, strict=True):
        ids = original.image.image_id, duplicate.image.image_id
        assert members[ids[0]] == members[ids[1]] == min(ids)
    assert len(set(members.values())) == 8


def test_a_crop_is_found_by_its_face_and_not_by_its_frame(portraits, grouped):
    crop = portraits[0].cropped(0.2, 0.05, 0.05, 0.2)
    assert len(set(grouped([portraits[0], crop]).values())) == 1
    apart = grouped([portraits[0], crop], min_inter_eye_distance_px=1000)
    assert len(set(apart.values())) == 2


def test_a_face_without_landmarks_is_compared_by_its_frame(portraits, grouped, monkeypatch):
    bare = type(portraits[0]).face.fget
    monkeypatch.setattr(
        type(portraits[0]),
        "face",
        property(lambda self: bare(self).model_copy(update={"landmarks": {}})),
    )
    copies = [portraits[0].reencoded(50), portraits[0].mirrored()]
    members = grouped([portraits[0], *copies, portraits[1]])
    assert len(set(members.values())) == 2
    assert len({members[portrait.image.image_id] for portrait in (portraits[0], *copies)}) == 1


def test_one_face_without_landmarks_is_enough_to_compare_frames():
    frame, mirror = np.uint64([0b1111]), np.uint64([2**63])
    turned = (np.uint64([0xFF00FF00FF00FF00]),) * 3
    face = np.zeros(8, dtype=np.uint64), np.full(8, 2**63, dtype=np.uint64)
    other = ~face[0], ~face[1]
    hashed = [
        Hashed([face], frame, None, turned),
        Hashed([other], frame, None, turned),
        Hashed([], frame, mirror, turned),
        Hashed([], ~frame, ~mirror, turned),
        Hashed([face], ~mirror, None, turned),
    ]
    found = {tuple(sorted(pair)) for pair in near_duplicates(hashed, GroupParams())}
    assert found == {(0, 2), (1, 2), (0, 4), (3, 4)}


def test_authors_group_only_where_asked(portraits, grouped):
    selfies = [portrait.but(source="selfies", author="me") for portrait in portraits[:2]]
    others = [portraits[2].but(source="selfies", author="you"), portraits[3].but(author="me")]
    assert len(set(grouped([*selfies, *others]).values())) == 4
    members = grouped([*selfies, *others], sources_grouped_by_author=("selfies",))
    assert len(set(members.values())) == 3
    assert len({members[portrait.image.image_id] for portrait in selfies}) == 1


def test_minting_does_not_change_selection_or_groups(portraits, grouped, tmp_path):
    images = [*portraits[:3], portraits[0].reencoded(50)]
    before = grouped(images), (tmp_path / "selected.jsonl").read_bytes()
    members = read_records(tmp_path / "groups.jsonl", GroupMember)
    ledger, _ = mint(members, {}, LedgerParams(), utc_now())
    assert (grouped(images, ledger), (tmp_path / "selected.jsonl").read_bytes()) == before


def test_what_left_the_selection_still_ties_its_duplicates(portraits, grouped):
    members = grouped(portraits[:2])
    ledger, _ = mint(
        [GroupMember(image_id=i, key=k) for i, k in members.items()], {}, LedgerParams(), utc_now()
    )
    copy = portraits[0].reencoded(45)
    doubted = portraits[0].but(is_adult=False)
    members = grouped([doubted, portraits[1], copy], ledger)
    assert members[copy.image.image_id] == members[doubted.image.image_id]


hashes = st.lists(st.integers(0, 2**128 - 1).map(lambda value: f"{value:032x}"), max_size=30)


@given(hashes, st.integers(0, 30), st.integers(0, 127), st.integers(0, 2**128 - 1))
def test_close_pairs_are_all_pairs_within_the_radius(rows, count, radius, flip):
    mirrored = [f"{int(row, 16) ^ flip:032x}" for row in rows[:count]]
    hashes, flipped = (
        np.array([words(row) for row in side]).reshape(-1, 2) for side in (rows, mirrored)
    )
    pairs = close_pairs(hashes, [hashes[: len(mirrored)], flipped], radius)
    found = {tuple(pair) for tile in pairs for pair in tile.tolist()}
    assert found == {
        (i, j)
        for j in range(len(rows))
        for i in range(min(j, len(mirrored)))
        if min(hamming(rows[i], rows[j]), hamming(mirrored[i], rows[j])) <= radius
    }


def test_tiles_meet_without_a_gap(monkeypatch):
    monkeypatch.setattr("curation.hashes._ROWS", 3)
    monkeypatch.setattr("curation.hashes._COLUMNS", 5)
    same = np.zeros((17, 1), dtype=np.uint64)
    found = [
        tuple(pair) for pairs in close_pairs(same, [same, ~same], 0) for pair in pairs.tolist()
    ]
    assert sorted(found) == [(i, j) for i in range(17) for j in range(i + 1, 17)]


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_are_the_reachable_ones(joins):
    components = Components(30)
    neighbours = np.eye(30, dtype=bool)
    for i, j in joins:
        components.join(i, j)
        neighbours[i, j] = neighbours[j, i] = True
    reach = np.linalg.matrix_power(neighbours.astype(float), 32) > 0
    assert [components.root(i) for i in range(30)] == [int(row.argmax()) for row in reach]
