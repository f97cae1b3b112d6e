import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from curation.gates import SelectParams
from curation.group import GroupParams, group, join_copies
from curation.leakage import leakage
from curation.ledger import LedgerParams, kept_out, mint
from curation.likeness import Pixels
from curation.near_duplicates import Close, HashColumns, Hashed, near_duplicates
from curation.records import GroupMember
from curation.select import select
from mirrorset.files import read_parts, write_records
from mirrorset.records import DatasetItem, LedgerEntry, Reason, utc_now


@pytest.fixture
def grouped(snapshot_of, blobs, model_cache, tmp_path):
    def run(portraits, ledger=(), **params):
        snapshot = snapshot_of(portraits, ledger=ledger)
        select(snapshot, tmp_path, "research", SelectParams())
        counts = group(snapshot, tmp_path, blobs, GroupParams(**params), model_cache)
        members = {m.image_id: m.key for m in read_parts(tmp_path / "groups", GroupMember)}
        assert counts.images == len(members)
        assert counts.groups == len(set(members.values()))
        return members

    return run


def squashed(portrait, share):
    width, height = portrait.picture.size
    low = portrait.picture.resize((width, round(height * share)))
    return portrait.but(picture=low, five=portrait.five * (1, low.height / height))


def resized(portrait, share):
    size = round(portrait.picture.width * share), round(portrait.picture.height * share)
    return portrait.but(picture=portrait.picture.resize(size), five=portrait.five * share)


def brightened(portrait, factor):
    return portrait.but(picture=ImageEnhance.Brightness(portrait.picture).enhance(factor))


def watermarked(portrait):
    """Letters over the nose, a third opaque."""
    layer = Image.new("L", portrait.picture.size)
    place = tuple(portrait.five[2])
    ImageDraw.Draw(layer).text(place, "SPECIMEN", fill=85, anchor="mm", font_size=48)
    white = Image.new("RGB", portrait.picture.size, "white")
    return portrait.but(picture=Image.composite(white, portrait.picture, layer.rotate(15)))


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
        lambda portrait: resized(portrait, 0.7),
        lambda portrait: brightened(portrait, 0.7),
        lambda portrait: brightened(portrait, 1.3),
        watermarked,
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


@pytest.mark.parametrize(
    ("by", "copied"),
    [
        ("face", lambda one: {"faces": [(one.faces[0][0], ~one.faces[0][1])]}),
        ("face", lambda one: {"faces": [(one.faces[0][1], ~one.faces[0][0])]}),
        ("frame", lambda one: {"frame": one.frame ^ np.uint64(0b1111)}),
        ("frame", lambda one: {"frame": one.mirrored_frame}),
        ("turned", lambda one: {"frame": one.turned_frames[2]}),
        (None, lambda one: {"frame": one.frame ^ np.uint64(0b11111)}),
        (None, lambda one: {"mirrored_frame": one.mirrored_frame}),
        (None, lambda one: {"turned_frames": one.turned_frames}),
    ],
)
def test_what_is_upright_is_compared_with_all_that_others_may_look_like(by, copied):
    random = np.random.default_rng(0)

    def drawn(words):
        return random.integers(0, 2**64, words, dtype=np.uint64)

    unlike = [
        Hashed([(drawn(8), drawn(8))], drawn(1), drawn(1), (drawn(1), drawn(1), drawn(1)))
        for _ in range(4)
    ]
    hashed = [*unlike[:3], unlike[3]._replace(**copied(unlike[1]))]
    assert list(near_duplicates(HashColumns(hashed), 48, 4)) == ([Close(1, 3, by)] if by else [])


def test_authors_group_where_pictures_show_them(portraits, grouped):
    names = ("Jane Doe", " jane  DOE", "Someone Else")
    selfies = [
        one.but(author=name, shows_author=True) for one, name in zip(portraits, names, strict=False)
    ]
    # Her view of somebody else, and another's name at another source.
    others = [
        portraits[3].but(author="Jane Doe"),
        portraits[4].but(author="Jane Doe", shows_author=True, source="elsewhere"),
    ]
    members = grouped([*selfies, *others])
    assert len(set(members.values())) == 4
    assert len({members[one.image.image_id] for one in selfies[:2]}) == 1


def test_one_photographer_of_many_sitters_is_no_group(portraits, grouped):
    sitters = [one.but(author="Studio North") for one in portraits]
    assert len(set(grouped(sitters).values())) == len(portraits)


def test_selfies_by_nobody_in_particular_are_no_group(portraits, grouped):
    names = ("", "", "Unknown author", "unknown", "Unknown authorUnknown author", "Anonymous", "-")
    selfies = [
        one.but(author=name, shows_author=True) for one, name in zip(portraits, names, strict=False)
    ]
    assert len(set(grouped(selfies).values())) == len(names)


def test_people_whom_a_source_tells_apart_group(portraits, grouped):
    """A picture of two people ties the pictures of either."""
    shown = [("p1",), ("p1", "p2"), ("p2",), ("p3",), ()]
    images = [
        one.but(source="studio", subject_ids=ids)
        for one, ids in zip(portraits, shown, strict=False)
    ]
    members = grouped([*images, portraits[5].but(source="elsewhere", subject_ids=("p1",))])
    assert len({members[one.image.image_id] for one in images[:3]}) == 1
    assert len(set(members.values())) == 4


def test_minting_does_not_change_selection_or_groups(portraits, grouped, tmp_path):
    images = [*portraits[:3], portraits[0].reencoded(50)]
    before = grouped(images), (tmp_path / "selected/00000.jsonl").read_bytes()
    members = read_parts(tmp_path / "groups", GroupMember)
    ledger, _ = mint(members, {}, LedgerParams(), utc_now())
    assert (grouped(images, ledger), (tmp_path / "selected/00000.jsonl").read_bytes()) == before


def test_what_left_the_selection_still_ties_its_duplicates(portraits, grouped):
    members = grouped(portraits[:2])
    ledger, _ = mint(
        [GroupMember(image_id=i, key=k) for i, k in members.items()], {}, LedgerParams(), utc_now()
    )
    copy = portraits[0].reencoded(45)
    doubted = portraits[0].but(is_adult=False)
    members = grouped([doubted, portraits[1], copy], ledger)
    assert members[copy.image.image_id] == members[doubted.image.image_id]


def test_where_all_hashes_are_close_the_pixels_tell(portraits, grouped):
    copies = [portrait.mirrored().reencoded(60) for portrait in portraits]
    members = grouped([*portraits, *copies], face_radius_bits=255, frame_radius_bits=31)
    assert len(set(members.values())) == 8
    for original, copy in zip(portraits, copies, strict=True):
        assert members[original.image.image_id] == members[copy.image.image_id]


def test_no_chain_of_look_alikes_joins_strangers(portraits):
    faces = [Pixels(np.asarray(one.picture), [one.five]) for one in (*portraits, portraits[0])]
    chain = [Close(i, i + 1, "face") for i in range(7)]
    sets, strangers = join_copies([*chain, Close(0, 8, "face")], faces.__getitem__, 0.7)
    assert strangers == 7
    assert sets.connected(0, 8)
    assert [len(sets.subset(i)) for i in range(1, 8)] == [1] * 7


def test_a_pair_that_is_together_is_not_looked_at_again(portraits):
    looked_at = []

    def pixels(index):
        looked_at.append(index)
        return Pixels(np.asarray(portraits[0].picture), [portraits[0].five])

    pairs = [Close(0, 1, "face"), Close(1, 2, "face"), Close(0, 2, "face"), Close(0, 1, "turned")]
    sets, strangers = join_copies(pairs, pixels, 0.7)
    assert (len(sets.subset(0)), strangers) == (3, 0)
    assert looked_at == [0, 1, 1, 2]


def test_the_new_images_of_an_oversized_group_wait_to_be_looked_at(portraits, grouped, tmp_path):
    copies = [portraits[0].reencoded(quality) for quality in (40, 50, 60)]
    own = [portrait.but(shows_author=True, author="me") for portrait in portraits[1:5]]
    grouped([portraits[0], *copies, *own], max_images=3)
    members = list(read_parts(tmp_path / "groups", GroupMember))
    flagged = {member.image_id for member in members if member.is_oversized}
    assert flagged == {one.image.image_id for one in (portraits[0], *copies)}
    entries, rejected = mint(members, {}, LedgerParams(), utc_now())
    assert {entry.image_id for entry in entries} == {one.image.image_id for one in own}
    assert {(one.item_id, one.reason) for one in rejected} == {
        (image_id, Reason.OVERSIZED_GROUP) for image_id in flagged
    }
    assert "One of 4 images" in rejected[0].detail


def test_a_turned_picture_of_someone_else_before_the_same_backdrop_is_no_copy(portraits):
    backdrop = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    shown = []
    for portrait in portraits[:2]:
        picture = Image.fromarray(backdrop).resize((800, 800), Image.Resampling.BICUBIC)
        picture.paste(portrait.picture.crop((100, 100, 305, 305)), (300, 300))
        shown.append((np.asarray(picture), portrait.five + 200))
    upright = Pixels(shown[0][0], [shown[0][1]])
    for (rgb, five), is_copy in zip(shown, (True, False), strict=True):
        turned = Pixels(np.ascontiguousarray(np.rot90(rgb)), [five])
        assert upright.is_copy(turned, "turned", 0.7) == is_copy
        assert turned.is_copy(upright, "turned", 0.7) == is_copy


# --- identity -------------------------------------------------------------------------------------

MODELS = ["sface", "w600k_mbf"]


def ids(portraits):
    return [portrait.image.image_id for portrait in portraits]


def groups_of(members, portraits):
    """The portraits' groups as letters, in order: "AABB" are two and two."""
    keys = [members[image_id] for image_id in ids(portraits)]
    return "".join("ABCDEFGHIJ"[list(dict.fromkeys(keys)).index(key)] for key in keys)


def entry_of(portrait, split):
    image_id = portrait.image.image_id
    return LedgerEntry(
        image_id=image_id, group_id=image_id[:16], split=split, image_shard=0, minted_at=utc_now()
    )


@pytest.mark.parametrize("model", MODELS)
def test_pictures_of_one_person_group_only_where_asked(seen_twice, portraits, grouped, model):
    images = [*seen_twice, *portraits[3:]]
    assert groups_of(grouped(images), seen_twice) == "ABCC"
    members = grouped(images, identity={"model": model})
    assert groups_of(members, seen_twice) == "AABB"
    assert len(set(members.values())) == 2 + len(portraits[3:])


def test_identity_groups_are_the_same_bytes_in_any_order(seen_twice, portraits, grouped, tmp_path):
    images = [*seen_twice, *portraits[3:]]
    made = []
    for order in (images, images[::-1]):
        grouped(order, identity={})
        made.append((tmp_path / "groups/00000.jsonl").read_bytes())
    assert made[0] == made[1]


def test_a_person_who_left_the_selection_still_ties(seen_twice, grouped):
    gone, still = seen_twice[0].but(is_adult=False), seen_twice[1]
    members = grouped([gone, still], [entry_of(gone, "test")], identity={})
    assert groups_of(members, [gone, still]) == "AA"
    members = grouped([gone, still], identity={})
    assert list(members) == ids([still])


def test_a_picture_of_two_people_ties_all_of_either(seen_twice, portraits, grouped, monkeypatch):
    """Two neutral faces side by side, and each person smiling."""
    left, right = seen_twice[0], seen_twice[2]
    both = Image.new("RGB", (810, 405))
    both.paste(left.picture, (0, 0))
    both.paste(right.picture, (405, 0))
    pair = left.but(picture=both)
    moved = right.but(five=right.five + np.array([405, 0]))
    second = moved.face.model_copy(update={"face_id": "1"})
    plain = type(pair).annotation.fget

    def annotation(self):
        own = plain(self)
        faces = (*own.faces, second) if self.picture is both else own.faces
        return own.model_copy(update={"faces": faces})

    monkeypatch.setattr(type(pair), "annotation", property(annotation))
    images = [pair, seen_twice[1], seen_twice[3], portraits[4]]
    assert groups_of(grouped(images, identity={}), images) == "AAAB"


def test_identity_over_two_splits_waits_and_does_not_leak(seen_twice, portraits, grouped, tmp_path):
    """What was minted apart before anybody asked: test keeps its image, train's waits."""
    ledger = [
        entry_of(seen_twice[0], "test"),
        entry_of(seen_twice[1], "train"),
        entry_of(portraits[4], "train"),
    ]
    images = [seen_twice[0], seen_twice[1], portraits[4]]
    grouped(images, ledger, identity={})
    members = list(read_parts(tmp_path / "groups", GroupMember))
    known = {entry.image_id: entry for entry in ledger}
    (waiting,) = kept_out(members, known)
    assert waiting.item_id == seen_twice[1].image.image_id
    assert waiting.reason is Reason.SPLIT_CONFLICT

    # The report counts it from groups, were it placed all the same.
    items = [
        DatasetItem(
            image_id=one.image.image_id,
            group_id=known[one.image.image_id].group_id,
            split=known[one.image.image_id].split,
            image_shard=0,
            annotation=one.annotation,
        )
        for one in images
    ]
    write_records(tmp_path / "items/00000.jsonl", items)
    assert leakage(tmp_path / "snapshot", tmp_path).near_duplicate_pairs == 1
    write_records(tmp_path / "items/00000.jsonl", [items[0], items[2]])
    assert leakage(tmp_path / "snapshot", tmp_path).near_duplicate_pairs == 0


def test_too_many_images_of_one_person_wait(seen_twice, portraits, grouped, tmp_path):
    grouped([*seen_twice[:2], *portraits[3:6]], identity={"max_images": 1})
    members = read_parts(tmp_path / "groups", GroupMember)
    assert {one.image_id for one in members if one.is_oversized} == set(ids(seen_twice[:2]))


def test_without_identity_no_weights_are_opened(portraits, snapshot_of, blobs, tmp_path):
    snapshot = snapshot_of(portraits[:2])
    select(snapshot, tmp_path, "research", SelectParams())
    counts = group(snapshot, tmp_path, blobs, GroupParams(), tmp_path / "nowhere")
    assert (counts.groups, counts.joined, counts.look_alikes) == (2, 0, 0)
    assert not (tmp_path / "nowhere").exists()
