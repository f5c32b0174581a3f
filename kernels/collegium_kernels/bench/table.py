"""Markdown tables from a result."""

from __future__ import annotations

from typing import Any


def markdown(result: dict[str, Any]) -> str:
    """Return one table per case and one of the bars."""
    parts = [_case(name, case) for name, case in result["cases"].items()]
    if result.get("not_run"):
        parts.append("Not run, for lack of time: " + ", ".join(result["not_run"]) + ".")
    return "\n\n".join([*parts, bars(result["bars"])])


def bars(rows: list[dict[str, Any]]) -> str:
    """Return the table of what was set out to be reached."""
    lines = ["| bar | measured | at most | |", "|---|---:|---:|---|"]
    for row in rows:
        verdict = {True: "reached", False: "**missed**", None: "not measured"}[row["reached"]]
        value = "" if row["value"] is None else f"{row['value']:.3g}"
        lines.append(f"| {row['bar']} | {value} | {row['at_most']:.3g} | {verdict} |")
    return "\n".join(lines)


def title(job: dict[str, Any]) -> str:
    """Return a case's job in words."""
    words = [
        f"N = {job['tokens']}, V = {job['vocabulary']}, Ds = {job['student_size']},"
        f" Dt = {job['teacher_size']}",
        job["dtype"],
        job["divergence"] + (f" (beta {job['beta']:g})" if job["divergence"] == "jsd" else ""),
    ]
    if job["temperature"] != 1.0:
        words.append(f"T = {job['temperature']:g}")
    if job["ce_weight"]:
        words.append("with cross-entropy")
    if job["teachers"] > 1:
        words.append(f"{job['teachers']} teachers")
    if job["masked"]:
        words.append(f"{job['masked']:.0%} masked")
    if job["top_k"]:
        words.append(f"top-{job['top_k']} teacher")
    if job["frozen_head"]:
        words.append("frozen head")
    if job["softcap"]:
        words.append(f"soft-cap {job['softcap']:g}")
    return ", ".join(words)


def _case(name: str, case: dict[str, Any]) -> str:
    results = case["results"]
    on_cpu = any("cpu_ms" in entry for entry in results.values())
    key = "cpu_ms" if on_cpu else "ms"
    unit = "processor s" if on_cpu else "ms"
    lines = [
        f"**{name}**: {title(case['job'])}",
        "",
        f"| implementation | {unit} | range | x ours | extra MB | dX error | dW error |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    ours = results.get("ours", {}).get(key)
    left_out: dict[str, list[str]] = {}
    for implementation, entry in results.items():
        if entry["status"] != "measured" or key not in entry:
            left_out.setdefault(f"{entry['status']}: {entry.get('why', '')}", []).append(
                implementation
            )
            continue
        scale = 1e-3 if on_cpu else 1.0
        low, high = (t * scale for t in entry.get(f"{key}_quartiles", entry[f"{key}_range"]))
        label = implementation + (f" (chunk {entry['chunk']})" if "chunk" in entry else "")
        ratio = f"{entry[key] / ours:.2f}" if ours else ""
        cells = [
            label,
            f"{entry[key] * scale:.2f}",
            f"{low:.2f} to {high:.2f}",
            ratio,
            f"{entry['extra_mb']:.0f}",
            _error(entry.get("error_dx")),
            _error(entry.get("error_dw")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if left_out:
        lines.append("")
        lines += [f"- {why}: {', '.join(names)}" for why, names in left_out.items()]
    return "\n".join(lines)


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
