"""Choose learning rates and steps for the arms of a shipped recipe: the same grid for every arm, on
seeds and questions that the recipe itself never shows.

    python benchmarks/tune.py quickstart --out benchmarks/results/quickstart_tuning.json

For each arm the setting with the best mean accuracy over its ways of answering (direct label, and
each teacher's way) is printed; ties go to the lower rate and the fewer steps.
"""

from __future__ import annotations

import argparse
import itertools
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
    parser.add_argument("recipe", help="a shipped recipe with arms and seeds")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.5e-3, 3e-3, 6e-3, 1.2e-2])
    parser.add_argument("--steps", type=int, nargs="+", help="default: each arm's own")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--task-seed", type=int, default=9001)
    parser.add_argument("--run", type=Path, help="default: runs/tune_RECIPE")
    parser.add_argument("--arms", nargs="+", help="only these arms")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="recipe options")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    tree = expand(read_tree(args.recipe))
    if set(args.seeds) & set(tree["seeds"]):
        parser.error("these seeds are the ones that the recipe shows")
    shown = {
        arm: overrides
        for arm, overrides in tree.pop("arms").items()
        if not args.arms or arm in args.arms
    }
    name = f"tune_{args.recipe}"
    options = {
        "name": name,
        "seeds": args.seeds,
        "task.options.seed": args.task_seed,
        **dict(pair.split("=", 1) for pair in args.set),
    }
    tree = apply_options(tree, options)
    grid = {
        _title(rate, steps): {
            "train.learning_rate": rate,
            **({} if steps is None else {"train.max_steps": steps}),
        }
        for rate, steps in itertools.product(sorted(args.rates), sorted(args.steps or [0]))
        for steps in [steps or None]
    }
    tree["arms"] = {
        f"{arm} @ {title}": apply_options(overrides, setting)
        for arm, overrides in shown.items()
        for title, setting in grid.items()
    }
    outcome = run_recipe(
        build_recipe(tree, "tuning"), run_dir=args.run or Path("runs") / name, progress=Progress()
    )
    rows = outcome.to_json()["results"]["rows"]
    chosen = {}
    for arm in shown:
        scores = {}
        for title in grid:
            row = next(r for r in rows if r["arm"] == f"{arm} @ {title}")
            means = [m["accuracy"]["mean"] for n, m in row["modes"].items() if n != "rationale"]
            scores[title] = sum(means) / len(means)
        best = max(grid, key=lambda title: scores[title])
        chosen[arm] = grid[best] if args.steps else grid[best]["train.learning_rate"]
        shares = "  ".join(f"{title}: {score:.3f}" for title, score in scores.items())
        print(f"{arm:32} {shares}  -> {best}")
    if args.out:
        record = {
            "machine": platform.processor() or platform.machine(),
            "seeds": args.seeds,
            "task_seed": args.task_seed,
            "rates": args.rates,
            **({"steps": args.steps} if args.steps else {}),
            "chosen": chosen,
            "rows": rows,
        }
        args.out.write_text(json.dumps(record, indent=1) + "\n")


def _title(rate: float, steps: int | None) -> str:
    return f"{rate:g}" if steps is None else f"{rate:g}, {steps} steps"


if __name__ == "__main__":
    main()
