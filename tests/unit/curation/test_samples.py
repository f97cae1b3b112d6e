"""A release as numpy arrays: the values of its items, by index, in every order, in workers."""

import json
import math
import multiprocessing
import os
import pickle
import subprocess
import sys
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mirrorset
from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.load import open_release
from mirrorset.samples import Samples


@pytest.fixture
def folder(portraits, release_of, tmp_path):
    """Eight images of one face in four shards; one has no faces, one has its face twice."""
    release_of(portraits, "1.0.0")
    folder = tmp_path / "releases" / "1.0.0"
    tables = [(path, pq.read_table(path)) for path in sorted((folder / "labels").iterdir())]
    filled = [(path, table) for path, table in tables if table.num_rows]
    for (path, table), times in zip(filled, (0, 2), strict=False):
        rows = table.to_pylist()
        rows[0]["faces"] = rows[0]["faces"] * times
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    return folder


@pytest.fixture
def samples(folder):
    return open_release(folder).samples("ibug68")


def test_shapes_and_values_are_those_of_the_items(samples):
    items = list(samples.release)
    assert len(samples) == len(items) == 8
    assert {len(item.faces) for item in items} == {0, 1, 2}
    for sample, item in zip(samples, items, strict=True):
        faces = len(item.faces)
        assert sample["image_id"] == item.image_id
        assert sample["image"].dtype == np.uint8
        assert np.array_equal(sample["image"], item.rgb())
        assert (sample["boxes"].shape, sample["boxes"].dtype) == ((faces, 4), np.float32)
        assert (sample["landmarks"].shape, sample["landmarks"].dtype) == (
            (faces, 68, 2),
            np.float32,
        )
        assert (sample["visibility"].shape, sample["visibility"].dtype) == ((faces, 68), np.int8)
        for index, face in enumerate(item.faces):
            marked = face.landmarks["ibug68"]
            assert np.array_equal(sample["boxes"][index], np.float32(face.box))
            assert np.array_equal(sample["landmarks"][index], np.float32(marked.points))
            assert np.array_equal(sample["visibility"][index], marked.visibility)


def test_a_face_without_the_landmarks_is_kept_without_points(folder):
    for path in (folder / "labels").glob("*.parquet"):
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            for face in row["faces"]:
                face["landmarks"] = []
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    samples = open_release(folder, "train").samples("ibug68")
    with_faces = [sample for sample in samples if len(sample["boxes"])]
    assert with_faces
    for sample in with_faces:
        assert np.isnan(sample["landmarks"]).all()
        assert not sample["visibility"].any()


def test_what_was_given_can_be_changed(samples):
    index = next(index for index, sample in enumerate(samples) if len(sample["boxes"]))
    samples[index]["boxes"][:] = -1
    assert (samples[index]["boxes"] != -1).any()


def test_a_split_and_a_transform(folder):
    release = open_release(folder, "train")
    ids = release.samples("ibug68", lambda sample: sample["image_id"])
    assert len(ids) == len(release)
    assert list(ids) == [item.image_id for item in release]
    with pytest.raises(IndexError, match="none at"):
        ids[len(ids)]
    assert ids[-1] == ids[len(ids) - 1]
    with pytest.raises(IndexError, match="none at"):
        ids[-len(ids) - 1]


def test_batches_keep_to_which_image_a_face_belongs(samples):
    every = list(samples)
    batch = mirrorset.batch(every)
    faces = [len(sample["boxes"]) for sample in every]
    assert batch["image_ids"] == [sample["image_id"] for sample in every]
    assert [image.shape for image in batch["images"]] == [one["image"].shape for one in every]
    assert batch["face_image"].tolist() == [i for i, n in enumerate(faces) for _ in range(n)]
    assert batch["landmarks"].shape == (sum(faces), 68, 2)
    for index, sample in enumerate(every):
        mine = batch["face_image"] == index
        assert np.array_equal(batch["boxes"][mine], sample["boxes"])
        assert np.array_equal(batch["visibility"][mine], sample["visibility"])


def many(images, shards):
    """Samples of a release that has labels in `shards` files, without a file."""
    per_shard = math.ceil(images / shards)
    samples = Samples(None, "ibug68")
    faces = np.zeros(images, np.int64)
    labels = mirrorset.samples._Labels(
        np.array([b"%064d" % index for index in range(images)]),
        (np.arange(images) // per_shard).astype(np.int32),
        np.concatenate([[0], np.cumsum(faces)]),
        *(np.zeros((0, 4), np.float32), np.zeros((0, 68, 2), np.float32)),
        np.zeros((0, 68), np.int8),
    )
    samples.__dict__["_labels"] = labels
    return samples, labels.shards


def test_every_order_is_a_permutation_that_reads_each_file_once():
    samples, shards = many(5_000, 7)
    orders = [samples.order(seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert samples.order(seed=None) == list(range(5_000))
    for order in orders:
        assert sorted(order) == list(range(5_000))
        changes = np.count_nonzero(np.diff(shards[order]))
        assert changes == 6
        assert order != sorted(order)
    firsts = {shards[samples.order(seed=seed)[0]] for seed in range(40)}
    assert len(firsts) > 4


@pytest.mark.parametrize(("images", "parts"), [(5_000, 3), (10, 16), (8, 8), (0, 2), (1, 1)])
def test_parts_are_disjoint_and_complete_and_of_equal_length(images, parts):
    samples, _ = many(images, 3)
    shares = [samples.order(seed=5, part=part, parts=parts) for part in range(parts)]
    assert list(chain(*shares)) == samples.order(seed=5)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_part_that_is_none(samples):
    for part, parts in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(SettingsError, match="count them from 0"):
            samples.order(part=part, parts=parts)


def test_a_stream_gives_what_order_says(samples):
    streamed = [sample["image_id"] for sample in samples.stream(seed=3, part=1, parts=2)]
    assert streamed == [samples[i]["image_id"] for i in samples.order(seed=3, part=1, parts=2)]


def test_landmarks_that_are_not_there_are_named(folder):
    with pytest.raises(SettingsError, match=r"no landmarks 'coco17': name one of ibug68"):
        len(open_release(folder).samples("coco17"))
    (folder / "labels.json").unlink()
    with pytest.raises(InputError, match=r"labels\.json does not exist"):
        len(open_release(folder).samples("ibug68"))


def test_landmarks_of_another_length_are_named(folder):
    labels = json.loads((folder / "labels.json").read_text())
    labels["landmarks"]["ibug68"]["names"].pop()
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(IntegrityError, match="than the 67 points"):
        len(open_release(folder).samples("ibug68"))


def width(sample):
    return sample["image"].shape[1]


def test_they_pickle_with_their_labels(folder, samples):
    fresh = pickle.loads(pickle.dumps(open_release(folder).samples("ibug68", width)))  # noqa: S301
    assert list(fresh) == [405] * 8
    assert len(samples) == 8
    with_labels = pickle.loads(pickle.dumps(samples))  # noqa: S301
    for path in (folder / "labels").iterdir():
        path.unlink()
    assert len(with_labels) == 8


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_give_every_sample_once(folder, start):
    program = [sys.executable, "-W", "ignore", "-m", "loader", str(folder), start]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        program, check=False, env=surroundings, capture_output=True, text=True, timeout=300
    )
    assert (ended.returncode, ended.stdout) == (0, "8 samples\n"), ended.stderr


def stream_part(samples, workers, worker):
    """What an iterable dataset's `__iter__` does with `get_worker_info()`."""
    return [sample["image_id"] for sample in samples.stream(seed=1, part=worker, parts=workers)]


def test_workers_of_an_iterable_dataset_share_the_samples(samples):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        shares = pool.map(partial(stream_part, samples, 3), range(3))
    assert sorted(map(len, shares)) == [2, 3, 3]
    assert sorted(chain(*shares)) == sorted(item.image_id for item in samples.release)
