"""Deduplication against what people use, and its memory on disk-sized input.

Rivals run in the interpreter given with `--rivals` (an environment with
`benchmarks/requirements/dedup.txt`). Every engine runs in a process of its own on one thread;
engines take turns, and what counts is CPU time.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import dedup_corpus

HERE = Path(__file__).resolve().parent
OURS = ("default", "default_arrow", "exact_all", "lsh_all")
QUICK_RIVALS = ("rensa_matrix", "rensa_rho")
OTHER_RIVALS = ("rensa_verified", "fastsketch", "gaoya", "datasketch", "text_dedup")
CONSONANTS = "bcdfghklmnprstvw"


def add_arguments(parser):
    parser.add_argument("--rivals", default=sys.executable, help="interpreter with the rivals")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="keep corpora and measurements here")
    parser.add_argument("--parts", default="100k,long,1m,memory,10m")


def run(args):
    parts = args.parts.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, Path(scratch))
        result = {"rivals": bench.versions(), "threshold": 0.7}
        if "100k" in parts:
            result["100k"] = bench.compare(100_000, args.rounds, OTHER_RIVALS)
        if "long" in parts:
            result["20k_long"] = bench.compare(20_000, args.rounds, (), long=True)
        if "1m" in parts:
            result["1m"] = bench.compare(1_000_000, max(1, args.rounds - 1), ())
        if "memory" in parts:
            result["memory_1m"] = bench.memory(1_000_000, 1)
        if "10m" in parts:
            result["memory_10m"] = bench.memory(1_000_000, 10)
    return result


class Bench:
    def __init__(self, args, scratch):
        self.args, self.scratch = args, scratch
        self.cache = args.cache or scratch
        self.cache.mkdir(parents=True, exist_ok=True)

    def versions(self):
        code = (
            "import json, importlib.metadata as m\n"
            "names = ['rensa', 'FastSketchLSH', 'gaoya', 'datasketch', 'text-dedup']\n"
            "print(json.dumps({n: m.version(n) for n in names}))"
        )
        done = subprocess.run([self.args.rivals, "-c", code], capture_output=True, text=True)
        if done.returncode:
            return {"absent": done.stderr.strip().splitlines()[-1:]}
        return json.loads(done.stdout)

    def corpus(self, rows, *, long=False, copies=1):
        name = f"{rows}{'_long' if long else ''}_{copies}.parquet"
        path = self.cache / name
        if path.is_file():
            return path
        if copies > 1:
            self.multiply(self.corpus(rows), path, copies)
            return path
        made = dedup_corpus.make(rows, sentences=(22, 28) if long else (2, 4))
        columns = {
            "text": made.texts,
            "question": made.questions,
            "answer": made.answers,
            "cluster": made.clusters,
            "kind": made.kinds,
        }
        pq.write_table(pa.table(columns), path, row_group_size=65536)
        return path

    def multiply(self, source, path, copies):
        """Write the corpus several times, each with other consonants and other questions."""
        with pq.ParquetFile(source) as file:
            schema = pa.schema([(n, pa.string()) for n in ("text", "question", "answer")])
            with pq.ParquetWriter(path, schema) as writer:
                for copy in range(copies):
                    turned = CONSONANTS[copy:] + CONSONANTS[:copy]
                    table = str.maketrans(CONSONANTS, turned)
                    for batch in file.iter_batches(65536, columns=["text", "question", "answer"]):
                        texts, questions, answers = (c.to_pylist() for c in batch.columns)
                        columns = [
                            [text.translate(table) for text in texts],
                            [f"{copy}/{question}" for question in questions],
                            answers,
                        ]
                        writer.write_table(pa.table(columns, schema=schema))

    def engine(self, name, path, threads=1, turn=0):
        """Run an engine; with a cache, take what an earlier, broken-off run measured."""
        ours = name in OURS or name.startswith("bounded")
        environment = {
            **os.environ,
            **dict.fromkeys(
                ("COLLEGIUM_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS"), str(threads)
            ),
        }
        label = f"{name.replace(':', '_')}.{path.stem}.{threads}.{turn}"
        folder = self.cache if path.parent == self.cache else self.scratch
        out, done_before = folder / f"{label}.npz", folder / f"{label}.json"
        if done_before.is_file():
            return json.loads(done_before.read_text()), arrays(out)
        out.unlink(missing_ok=True)
        done = subprocess.run(
            [
                sys.executable if ours else self.args.rivals,
                str(HERE / "dedup_engines.py"),
                name,
                str(path),
                str(out),
            ],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return {"failed": done.stderr.strip().splitlines()[-1:]}, {}
        print(name, path.name, threads, done.stdout.strip(), file=sys.stderr)
        measured = done.stdout.strip().splitlines()[-1]
        done_before.write_text(measured)
        return json.loads(measured), arrays(out)

    def compare(self, rows, rounds, once, long=False):
        path = self.corpus(rows, long=long)
        names = (*OURS, *QUICK_RIVALS)
        runs, found = {name: [] for name in (*names, *once)}, {}
        two = []
        for turn in range(rounds):
            rivals = QUICK_RIVALS if turn else (*QUICK_RIVALS, *once)
            for name in alternating(OURS, rivals):
                measured, columns = self.engine(name, path, turn=turn)
                runs[name].append(measured)
                found.setdefault(name, columns)
            two.append(self.engine("default", path, threads=2, turn=turn)[0])
        table = pq.read_table(path)
        quality = {name: self.quality(table, columns) for name, columns in found.items() if columns}
        quality["lsh_all"]["recall"] = self.recall(path, table, found["lsh_all"])
        engines = {name: summary(rows, runs[name]) for name in runs}
        best = {n: e["cpu_s"] for n, e in engines.items() if "cpu_s" in e}
        return {
            "rows": rows,
            "mean_words": round(mean_words(table), 1),
            "kinds": counts(table.column("kind").to_pylist()),
            "engines": engines,
            "times_rensa_matrix": {
                name: round(best["rensa_matrix"] / best[name], 2)
                for name in OURS
                if "rensa_matrix" in best
            },
            "default_times_rival": {
                name: round(best[name] / best["default"], 1)
                for name in (*QUICK_RIVALS, *once)
                if name in best
            },
            "two_threads": {
                **summary(rows, two),
                "cpu_of_one": round(
                    statistics.median(r["cpu_s"] for r in two) / best["default"], 3
                ),
            },
            "quality": quality,
        }

    def quality(self, table, found):
        """What an engine's pairs are worth, by sets of 3-grams of strings, every pair or 20,000."""
        texts, answers = table.column("text").to_pylist(), table.column("answer").to_pylist()
        if "flags" in found:
            return {"flagged": int(found["flags"].sum())}
        if "kept_by" in found:
            gone = np.flatnonzero(found["kept_by"] != np.arange(len(texts)))
            pairs = np.c_[gone, found["kept_by"][gone]]
        else:
            pairs = found["pairs"].reshape(-1, 2)
        pairs = pairs.tolist()
        across = sum(answers[a] != answers[b] for a, b in pairs)
        total = len(pairs)
        if total > 20_000:
            pairs = random.Random(0).sample(pairs, 20_000)
        exact = [jaccard(texts[a], texts[b]) for a, b in pairs]
        result = {
            "pairs": total,
            "across_answers": across,
            "precision": sum(value >= 0.7 for value in exact) / max(1, len(exact)),
            "checked": len(exact),
        }
        if "kept_by" in found:
            wrong = [
                np.float32(value) != found["similarity"][a]
                for value, (a, _) in zip(exact, pairs, strict=True)
            ]
            result |= {"kept": len(texts) - total, "wrong_similarities": int(sum(wrong))}
        return result

    def recall(self, path, table, found):
        """The share of rows to be dropped that LSH drops: what it left goes to the exact join."""
        kept = np.flatnonzero(found["kept_by"] == np.arange(table.num_rows))
        rest = self.scratch / f"rest_of_{path.stem}.parquet"
        pq.write_table(table.take(pa.array(kept)), rest)
        _, exact = self.engine("exact_all", rest)
        missed = int((exact["kept_by"] != np.arange(len(kept))).sum())
        dropped = table.num_rows - len(kept)
        return dropped / (dropped + missed)

    def memory(self, rows, copies):
        path = self.corpus(rows, copies=copies)
        total = rows * copies
        result = {"rows": total, "file_mb": round(path.stat().st_size / 2**20)}
        limit = (256 << 20) + (64 << 20) * total // 1_000_000
        for scope in ("group", "all"):
            measured, found = self.engine(f"bounded:{limit}:{scope}", path)
            result[scope] = {"memory_mb": limit >> 20, **measured}
            if copies == 1 and found:
                _, whole = self.engine("default" if scope == "group" else "exact_all", path)
                same = [np.array_equal(found[name], whole[name]) for name in whole]
                result[scope]["same_as_in_memory"] = all(same)
        return result


def arrays(path):
    """What an engine wrote, if it wrote anything."""
    return dict(np.load(path)) if path.is_file() else {}


def alternating(ours, rivals):
    """Ours, a rival, ours, a rival, as long as there are both."""
    pairs = [name for pair in zip(ours, rivals, strict=False) for name in pair]
    return [*pairs, *ours[len(rivals) :], *rivals[len(ours) :]]


def summary(rows, runs):
    failed = [run for run in runs if "failed" in run]
    if failed:
        return failed[0]
    cpu = [run["cpu_s"] for run in runs]
    middle = statistics.median(cpu)
    return {
        "cpu_s": round(middle, 3),
        "cpu_s_all": [round(value, 3) for value in cpu],
        "rows_per_cpu_s": round(rows / middle),
        "peak_rss_mb": round(max(run["peak_rss_mb"] for run in runs)),
        **({"kept": runs[0]["kept"]} if "kept" in runs[0] else {}),
    }


def jaccard(a, b):
    sets = []
    for text in (a, b):
        words = re.findall(r"\w+", text.lower())
        grams = zip(words, words[1:], words[2:], strict=False)
        sets.append(set(grams) if len(words) > 2 else {tuple(words)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def mean_words(table):
    texts = table.column("text").slice(0, 20_000).to_pylist()
    return sum(len(text.split()) for text in texts) / len(texts)


def counts(values):
    return {value: values.count(value) for value in sorted(set(values))}
