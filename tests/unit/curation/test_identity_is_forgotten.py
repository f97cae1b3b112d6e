"""After a release by identity nothing that tells people apart is left anywhere."""

import base64
import gzip
import json
import sqlite3
import zipfile
import zlib
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from demo_run import run
from thorough import thorough
from vector_traces import VectorTraces, contents

from curation.group import GroupParams, comparable
from faces.identity import FaceEmbedder, IdentityParams
from flows.release import dry_run, release
from mirrorset.errors import LicenceError
from mirrorset.pixels import decode
from mirrorset.records import LedgerEntry
from mirrorset.workspace import init

PARAMS = """
dataset: {{name: faces, is_unreviewed: true, intended_use: {use}}}
responsible: {{}}
select: {{}}
group: {{identity: {{model: {model}}}}}
ledger: {{seed: faces, train: 0.4, val: 0.3, test: 0.3}}
pack: {{}}
parity: {{}}
"""


def made(home, images, model, use="research"):
    """A workspace that knows the images, to be released by identity."""
    workspace = init(home)
    workspace.params_file.write_text(PARAMS.format(model=model, use=use))
    with workspace.catalogue() as catalogue:
        for one in images:
            workspace.blobs.put(one.content)
            catalogue.upsert([one.image, one.sighting, one.annotation, *one.verdicts])
    return workspace


def embeddings(images, model, cache):
    """As the stage `group` makes them, bit for bit."""
    embedder = FaceEmbedder(cache, IdentityParams(model=model))
    return [
        vector
        for one in images
        for vector in embedder.embed(decode(one.content), comparable([one.face], GroupParams()))
    ]


def traces_of(vectors):
    """The vectors, rounded as `people` compares them, their mean, and all similarities in a row."""
    together = np.stack(vectors)
    rounded = np.rint(together * 4000)
    return VectorTraces([*together, *rounded, together.mean(axis=0), similarities(together)])


def similarities(together):
    return (together @ together.T)[np.triu_indices(len(together), 1)]


@pytest.mark.parametrize("model", ["sface", *thorough("w600k_mbf")])
def test_no_embedding_is_in_any_file_or_table_after_a_release(
    seen_twice, portraits, model_cache, tmp_path, model
):
    images = [*seen_twice, *portraits[3:]]
    workspace = made(tmp_path / "faces", images, model)
    elsewhere = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PREFECT_API_URL": "",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "MIRRORSET_CACHE": str(model_cache.parent),
    }
    (tmp_path / "temporary").mkdir()
    told = run("release", "--home", str(workspace.home), "--json", env=elsewhere)
    (tmp_path / "stdout").write_text(told.stdout)
    (tmp_path / "stderr").write_text(told.stderr)

    # Identity was at work: each person's two pictures have one group.
    with workspace.catalogue() as catalogue:
        ledger = {one.image_id: one.group_id for one in catalogue.read(LedgerEntry)}
    groups = [ledger[one.image.image_id] for one in seen_twice]
    assert groups[0] == groups[1] != groups[2] == groups[3]

    vectors = embeddings(images, model, model_cache)
    sought = traces_of(vectors)
    exact = similarities(np.rint(np.stack(vectors).astype(np.float64) * 4000)) / 4000**2
    pairs = [f"{one:.10f}"[1:].lstrip("0").encode() for one in exact]
    looked_at = 0
    for name, content in contents(tmp_path):
        looked_at += 1
        assert not sought.are_in(content), name
        assert not any(pair in content for pair in pairs), name
    assert looked_at > 60
    assert (tmp_path / "prefect/prefect.db").is_file()


def test_a_commercial_dataset_is_refused_before_any_work(seen_twice, tmp_path):
    workspace = made(tmp_path / "faces", seen_twice, "w600k_mbf", "commercial")
    named = r"w600k_mbf \(InsightFace non-commercial research\)"
    with pytest.raises(LicenceError, match=named):
        release.fn(workspace.home)
    assert not workspace.snapshot.exists()
    with pytest.raises(LicenceError, match="w600k_mbf"):
        dry_run(workspace.home)


# --- the search itself ----------------------------------------------------------------------------

VECTOR = np.random.default_rng(0).normal(size=128).astype(np.float32)
VECTOR /= np.linalg.norm(VECTOR)
OTHERS = [np.roll(VECTOR, shift) for shift in (1, 50, 90)]


def in_sqlite(path, cell):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE runs (id INTEGER, result)")
        database.execute("INSERT INTO runs VALUES (1, ?)", (cell,))


def in_zip(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack/faces.npy", content)


PLANTED = {
    "float32": lambda path: path.write_bytes(b"abc" + VECTOR.tobytes()),
    "float16": lambda path: path.write_bytes(b"x" + VECTOR.astype("<f2").tobytes()),
    "float64": lambda path: path.write_bytes(VECTOR.astype("<f8").tobytes()),
    "five numbers of it": lambda path: path.write_bytes(b"1234567" + VECTOR[60:65].tobytes()),
    "rounded": lambda path: path.write_bytes(np.rint(VECTOR * 4000).tobytes()),
    "decimals": lambda path: path.write_text(str(VECTOR.tolist())),
    "four decimals": lambda path: path.write_text("; ".join(f"{v:.4f}" for v in VECTOR)),
    "a line of a log": lambda path: path.write_text(f"12:00 INFO face {VECTOR[:8]!r} found"),
    "exponents": lambda path: path.write_text("\n".join(f"{v:e}" for v in VECTOR)),
    "base64": lambda path: path.write_bytes(b"=" + base64.b64encode(b"ab" + VECTOR.tobytes())),
    "lines of base64": lambda path: path.write_bytes(base64.encodebytes(VECTOR.tobytes())),
    "hex": lambda path: path.write_text(VECTOR.tobytes().hex()),
    "gzip": lambda path: path.write_bytes(gzip.compress(json.dumps(VECTOR.tolist()).encode())),
    "zlib": lambda path: path.write_bytes(zlib.compress(VECTOR.tobytes())),
    "zip": lambda path: in_zip(path, VECTOR.tobytes()),
    "Parquet list": lambda path: pq.write_table(pa.table({"v": [VECTOR.tolist()]}), path),
    "Parquet binary": lambda path: pq.write_table(
        pa.table({"v": [VECTOR.tobytes()]}), path, compression="zstd"
    ),
    "Parquet floats": lambda path: pq.write_table(
        pa.table({"v": VECTOR}), path, compression="zstd"
    ),
    "SQLite blob": lambda path: in_sqlite(path, VECTOR.tobytes() * 50),
    "SQLite text": lambda path: in_sqlite(path, json.dumps([*([0.5] * 2000), *VECTOR.tolist()])),
}


@pytest.mark.parametrize("how", PLANTED)
def test_the_search_finds_what_is_planted(how, tmp_path):
    sought = traces_of([VECTOR, *OTHERS])
    (tmp_path / "below").mkdir()
    planted = tmp_path / "below" / "planted"
    PLANTED[how](planted)
    assert any(sought.are_in(content) for _, content in contents(tmp_path))


def test_the_search_finds_nothing_where_nothing_is(tmp_path):
    sought = traces_of([VECTOR, *OTHERS])
    random = np.random.default_rng(1)
    other = random.normal(size=4000).astype(np.float32) / 11
    (tmp_path / "bytes").write_bytes(other.tobytes())
    (tmp_path / "numbers").write_text(str(other.tolist()))
    (tmp_path / "zeros").write_bytes(bytes(10_000))
    (tmp_path / "whole").write_text(", ".join(map(str, range(10_000))))
    assert not any(sought.are_in(content) for _, content in contents(tmp_path))
