"""One engine on one corpus, in a process of its own: `python dedup_engines.py ENGINE FILE OUT`.

FILE is a Parquet file with the columns text, question, answer. Time is the process's CPU time from
the texts in memory to the decision on every row, including what an engine needs before it (3-grams
made in Python for those that take sets). All rivals: lower-cased words, word 3-grams, 128
permutations, 16 bands of 8 rows.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLD, PERMUTATIONS, BANDS = 0.7, 128, 16


def shingles(text):
    words = text.lower().split()
    if len(words) < 3:
        return words
    return [" ".join(words[i : i + 3]) for i in range(len(words) - 2)]


def ours(table, *, arrow=False, **options):
    from collegium import deduplicate

    columns = [table.column(name) for name in ("text", "question", "answer")]
    if not arrow:
        columns = [column.to_pylist() for column in columns]
    started = time.process_time(), time.perf_counter()
    found = deduplicate(*columns, threshold=THRESHOLD, **options)
    return started, {"kept_by": found.kept_by, "similarity": found.similarity}


def bounded(path, memory, scope):
    """From a Parquet file, batch by batch."""
    from collegium import DedupStream

    started = time.process_time(), time.perf_counter()
    stream = DedupStream(threshold=THRESHOLD, memory=memory, scope=scope)
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(16384, columns=["text", "question", "answer"]):
            stream.add(*batch.columns)
            del batch
    pa.default_memory_pool().release_unused()
    found = stream.finish()
    return started, {"kept_by": found.kept_by, "similarity": found.similarity}


def rensa(texts, rho=False):
    import rensa as peer  # pyright: ignore[reportMissingImports]

    started = time.process_time(), time.perf_counter()
    sets = [shingles(text) for text in texts]
    make = peer.RMinHash.digest_matrix_from_token_sets
    if rho:
        make = peer.RMinHash.digest_matrix_from_token_sets_rho
    matrix = make(sets, num_perm=PERMUTATIONS, seed=42)
    index = peer.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    flags = index.query_duplicate_flags_matrix_one_shot(matrix)
    return started, {"flags": np.asarray(flags, bool)}


def rensa_pairs(texts):
    import rensa as peer  # pyright: ignore[reportMissingImports]

    started = time.process_time(), time.perf_counter()
    sets = [shingles(text) for text in texts]
    hashes = peer.RMinHash.from_token_sets(sets, num_perm=PERMUTATIONS, seed=42)
    index = peer.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    index.insert_many(hashes)
    found = index.query_all(hashes)
    pairs = [
        (i, j)
        for i, near in enumerate(found)
        for j in near
        if j > i and hashes[i].jaccard(hashes[j]) >= THRESHOLD
    ]
    return started, {"pairs": pairs}


def fastsketch(texts):
    import FastSketchLSH as peer  # pyright: ignore[reportMissingImports]

    started = time.process_time(), time.perf_counter()
    sets = [shingles(text) for text in texts]
    sketches = peer.FastSimilaritySketch(PERMUTATIONS, 42).batch(sets, num_threads=1)
    index = peer.LSH(PERMUTATIONS, BANDS, num_threads=1)
    index.insert(sketches)
    flat, starts = index.query(sketches, "csr")
    flat, starts = np.asarray(flat, np.int64), np.asarray(starts, np.int64)
    rows = np.repeat(np.arange(len(texts)), np.diff(starts))
    keep = rows < flat
    return started, {"pairs": np.c_[rows[keep], flat[keep]]}


def datasketch(texts):
    from datasketch import MinHash, MinHashLSH  # pyright: ignore[reportMissingImports]

    started = time.process_time(), time.perf_counter()
    sets = [[gram.encode() for gram in shingles(text)] for text in texts]
    hashes = MinHash.bulk(sets, num_perm=PERMUTATIONS, seed=42)
    index = MinHashLSH(params=(BANDS, PERMUTATIONS // BANDS), num_perm=PERMUTATIONS)
    with index.insertion_session() as session:
        for i, value in enumerate(hashes):
            session.insert(i, value)
    pairs = [(i, j) for i, value in enumerate(hashes) for j in index.query(value) if j > i]
    return started, {"pairs": pairs}


def gaoya(texts):
    """It checks candidates by their estimated similarity."""
    from gaoya.minhash import MinHashStringIndex  # pyright: ignore[reportMissingImports]

    started = time.process_time(), time.perf_counter()
    index = MinHashStringIndex(
        32, THRESHOLD, BANDS, PERMUTATIONS // BANDS, None, "word", True, (3, 3),
        id_container="smallvec",
    )  # fmt: skip
    for i, text in enumerate(texts):
        index.insert_document(i, text)
    pairs = [(i, j) for i, text in enumerate(texts) for j in index.query(text) if j > i]
    return started, {"pairs": pairs}


def text_dedup(texts):
    """Its command line is what it offers; start-up and Arrow files are part of it."""
    import os
    import subprocess
    import tempfile

    import datasets

    with tempfile.TemporaryDirectory() as folder:
        datasets.Dataset.from_dict({"text": texts}).save_to_disk(f"{folder}/in")
        options = {
            "path": f"{folder}/in", "cache_dir": f"{folder}/cache", "output": f"{folder}/out",
            "column": "text", "ngram": "3", "min_length": "0", "num_perm": str(PERMUTATIONS),
            "b": str(BANDS), "r": str(PERMUTATIONS // BANDS), "threshold": str(THRESHOLD),
            "num_proc": "1", "batch_size": "10000", "hash_func": "xxh3", "hash_bits": "32",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        started = time.process_time(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "text_dedup.minhash", "--local", *words],
            check=True,
            capture_output=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": f"{folder}/hf"},
        )
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        kept = len(datasets.load_from_disk(f"{folder}/out"))
        return started, {"kept": kept, "cpu": used.ru_utime + used.ru_stime}


OURS = {
    "default": {},
    "default_arrow": {"arrow": True},
    "exact_all": {"scope": "all"},
    "lsh_all": {"scope": "all", "mode": "lsh"},
}
RIVALS = {
    "rensa_matrix": rensa,
    "rensa_rho": lambda texts: rensa(texts, rho=True),
    "rensa_verified": rensa_pairs,
    "fastsketch": fastsketch,
    "gaoya": gaoya,
    "datasketch": datasketch,
    "text_dedup": text_dedup,
}


class AnonymousPeak(threading.Thread):
    """The most anonymous memory that the process held, looked at every 10 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self):
        while not self.done.wait(0.01):
            self.look()

    def look(self):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                self.peak = max(self.peak, int(line.split()[1]) << 10)


def main():
    engine, path, out = sys.argv[1:4]
    watch, before = None, 0
    if engine.startswith("bounded"):
        _, memory, scope = engine.split(":")
        import collegium.dedup  # noqa: F401

        watch = AnonymousPeak()
        watch.look()
        before = watch.peak
        watch.start()
        started, found = bounded(path, memory, scope)
    else:
        table = pq.read_table(path)
        if engine in OURS:
            started, found = ours(table, **OURS[engine])
        else:
            started, found = RIVALS[engine](table.column("text").to_pylist())
    result = {
        "cpu_s": found.pop("cpu", time.process_time() - started[0]),
        "wall_s": time.perf_counter() - started[1],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if watch is not None:
        watch.done.set()
        watch.join()
        result["anonymous_peak_mb"] = watch.peak / 2**20
        result["anonymous_before_mb"] = before / 2**20
    if "kept" in found:
        result["kept"] = found.pop("kept")
    if found:
        columns: dict[str, Any] = {name: np.asarray(value) for name, value in found.items()}
        np.savez(out, **columns)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
