"""Choose the quickstart's learning rates: the same grid for every arm, on seeds and questions that
the quickstart never shows.

    python benchmarks/tune_quickstart.py --out benchmarks/results/quickstart_tuning.json

For each arm the rate with the best mean accuracy over its ways of answering (direct label, and each
teacher's way) is printed; ties go to the lower rate.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

from collegium.pipeline.progress import Progress
from collegium.pipeline.run import run_recipe
from collegium.recipe_io import apply_options, build_recipe, expand, read_tree


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[1.5e-3, 3e-3, 6e-3, 1.2e-2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--task-seed", type=int, default=9001)
    parser.add_argument("--run", type=Path, default=Path("runs/tune_quickstart"))
    parser.add_argument("--arms", nargs="+", help="only these arms")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="recipe options")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    tree = expand(read_tree("quickstart"))
    if set(args.seeds) & set(tree["seeds"]):
        parser.error("these seeds are the ones that the quickstart shows")
    shown = {
        arm: overrides
        for arm, overrides in tree.pop("arms").items()
        if not args.arms or arm in args.arms
    }
    options = {
        "name": "tune_quickstart",
        "seeds": args.seeds,
        "task.options.seed": args.task_seed,
        **dict(pair.split("=", 1) for pair in args.set),
    }
    tree = apply_options(tree, options)
    tree["arms"] = {
        f"{arm} @ {rate:g}": {**overrides, "train.learning_rate": rate}
        for arm, overrides in shown.items()
        for rate in args.rates
    }
    outcome = run_recipe(build_recipe(tree, "tuning"), run_dir=args.run, progress=Progress())
    rows = outcome.to_json()["results"]["rows"]
    chosen = {}
    for arm in shown:
        scores = {}
        for rate in args.rates:
            row = next(r for r in rows if r["arm"] == f"{arm} @ {rate:g}")
            means = [m["accuracy"]["mean"] for n, m in row["modes"].items() if n != "rationale"]
            scores[rate] = sum(means) / len(means)
        chosen[arm] = max(sorted(scores), key=lambda rate: scores[rate])
        shares = "  ".join(f"{rate:g}: {score:.3f}" for rate, score in scores.items())
        print(f"{arm:32} {shares}  -> {chosen[arm]:g}")
    if args.out:
        record = {
            "machine": platform.processor() or platform.machine(),
            "seeds": args.seeds,
            "task_seed": args.task_seed,
            "rates": args.rates,
            "chosen": chosen,
            "rows": rows,
        }
        args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
