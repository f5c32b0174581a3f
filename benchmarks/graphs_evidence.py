"""What thought graphs teach a small student: recipe `beluga_graph`, or what is left of its run.

    python benchmarks/run.py graphs_evidence --json benchmarks/results/graphs_evidence.json

Accuracy, tokens and seconds of every arm over its seeds, paired comparisons, and the tokens that a
question takes in each form (from which the steps of the arms at equal tokens were set).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from collegium.pipeline.progress import Progress
from collegium.pipeline.run import run_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, help="run directory; default: runs/beluga_graph")


def run(args: argparse.Namespace) -> dict[str, Any]:
    outcome = run_recipe("beluga_graph", run_dir=args.run, progress=Progress())
    results = outcome.to_json()["results"]
    return {
        "task": results["task"],
        "notes": results["notes"],
        "rows": results["rows"],
        "comparisons": results["comparisons"],
        "read_a_question": sorted(
            (_read(o.path) for o in outcome.outputs if o.stage == "pack"),
            key=lambda form: form["tokens"],
        ),
    }


def _read(stage: Path) -> dict[str, Any]:
    """Return the form of a stage's rows and the tokens that a training question takes in it."""
    kept = json.loads((stage / "stage.json").read_text("utf-8"))
    options, rows = kept["key"]["options"], kept["summary"]["rows"]["train"]
    questions = len({*_column(stage / "train.parquet", "example_id")})
    chosen = {k: v for k, v in options["graph"].items() if k in ("texts", "leave_out", "max_paths")}
    return {
        "rows": options["rows"],
        **{key: value for key, value in chosen.items() if value},
        "tokens": rows["input_tokens"] / questions,
    }


def _column(path: Path, name: str) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=[name])[name].to_pylist()
