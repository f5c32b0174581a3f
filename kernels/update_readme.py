"""Write the tables of kernels/README.md from the committed results.

python kernels/update_readme.py            # writes
python kernels/update_readme.py --check    # says whether the page is up to date
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from collegium.kernels.bench.table import markdown

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
RESULTS = HERE.parent / "benchmarks" / "results"


def measured() -> str:
    """Return the tables of all measurements, CPU first; what does not exist is named."""
    parts = []
    cpu = RESULTS / "kernels_cpu.json"
    gpu = sorted(p for p in RESULTS.glob("kernels_cuda*.json") if "check" not in p.name)
    for path in [cpu, *gpu]:
        if path.is_file():
            parts += [_heading(path, result := json.loads(path.read_text())), markdown(result)]
        else:
            parts.append("### CPU\nNo CPU measurement exists yet.")
    if not gpu:
        parts.append(
            "### GPU\n**No GPU measurement exists yet.** Everything said above about GPUs is"
            " arithmetic or was tested on a CPU only. `benchmarks/gpu.sh check` and"
            " `benchmarks/gpu.sh table` make it on a machine that has one."
        )
    return "\n\n".join(parts)


def _heading(path: Path, result: dict[str, Any]) -> str:
    environment = result["environment"]
    where = environment.get("card") or result.get("machine", {}).get("cpu", "CPU")
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items() if v != "absent")
    absent = [k for k, v in environment["versions"].items() if v == "absent"]
    threads = environment["threads"]
    load = result.get("machine", {}).get("load_1min")
    lines = [
        f"### {'GPU' if environment['device'] == 'cuda' else 'CPU'}: {where}",
        f"[{path.name}](../benchmarks/results/{path.name}), commit {result.get('commit', '?')};"
        f" {versions}; {threads} threads, {environment['cpu_capability']}."
        + (f" Not installed: {', '.join(absent)}." if absent else ""),
    ]
    if environment["device"] == "cpu":
        lines.append(
            "Times are processor time of all threads, which other programs disturb less"
            + (f" (load of the machine {load:.0f})." if load is not None else ".")
        )
    return "\n".join(lines)


def compiled() -> str:
    """Return one row per kernel and target: the range over its configurations."""
    path = RESULTS / "kernels_aot.json"
    if not path.is_file():
        return "No table yet."
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(json.loads(path.read_text())):
        groups[row["kernel"], row["target"]].append(row)
    lines = [
        "Every kernel and configuration, compiled without a GPU"
        f" ([{path.name}](../benchmarks/results/{path.name}) has each one). Widths in bits.",
        "",
        "| kernel | target | configurations | registers | spills | shared bytes | load | store |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (kernel, target), rows in sorted(groups.items()):
        cells = [kernel, target, str(len(rows))]
        cells += [
            _range(rows, key)
            for key in ("registers", "spills", "shared_bytes", "load_bits", "store_bits")
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rows(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, list):
        return content
    return next(v for v in content.values() if isinstance(v, list) and v and "kernel" in v[0])


def _range(rows: list[dict[str, Any]], key: str) -> str:
    values = sorted(row[key] for row in rows if row.get(key) is not None)
    if not values:
        return "not known"
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    for name, body in (("measured", measured()), ("compiled", compiled())):
        pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)"
        # A function, for the tables may hold backslashes.
        text = re.sub(pattern, lambda m, b=body: f"{m[1]}{b}\n{m[2]}", text, flags=re.DOTALL)
    return text


def main() -> None:
    """Write the page, or compare it with what would be written."""
    now = PAGE.read_text()
    new = page(now)
    if "--check" in sys.argv[1:]:
        if now != new:
            sys.exit("kernels/README.md is not up to date: python kernels/update_readme.py")
        return
    PAGE.write_text(new)


if __name__ == "__main__":
    main()
