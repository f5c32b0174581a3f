"""`collegium graph show|check|stats|texts FILE`: thought graphs in files, or in examples' rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from collegium.errors import ArgumentError, DataError

File = Annotated[
    Path, typer.Argument(help="JSONL or Parquet: graphs, or examples whose rationales hold some.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        name="graph",
        help="Look at thought graphs: draw, check and repair, count, write out as texts.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.add_typer(group)

    @group.command("show", help="Draw one graph: Mermaid, DOT, JSON, or a tagged text.")
    def show(
        file: File,
        graph_id: Annotated[str | None, typer.Option("--id", help="Default: the first.")] = None,
        form: Annotated[
            str, typer.Option("--format", help="mermaid, dot, json or text.")
        ] = "mermaid",
    ) -> None:
        from collegium.graphs import read_graphs, to_dot, to_mermaid
        from collegium.graphs.linear import depth_first
        from collegium.registry import nearest

        graphs = {graph.id: graph for graph in reversed(read_graphs(file))}
        chosen = next(reversed(graphs)) if graph_id is None else graph_id
        if chosen not in graphs:
            raise DataError(f"{file}: no graph {chosen!r}.{nearest(chosen, graphs)}")
        forms = {
            "mermaid": to_mermaid,
            "dot": to_dot,
            "json": lambda graph: graph.to_json(indent=1),
            "text": lambda graph: depth_first(graph)[0].text(),
        }
        if form not in forms:
            raise ArgumentError(f"--format {form}: expected one of {', '.join(forms)}")
        typer.echo(forms[form](graphs[chosen]).rstrip())

    @group.command("check", help="List what is wrong with each graph; exit 2 if anything is.")
    def check(
        file: File,
        policy: Annotated[
            str, typer.Option(help="default or beluga: what is demanded.")
        ] = "default",
        out: Annotated[
            Path | None, typer.Option("--out", help="Write the repaired graphs here.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        from collegium.graphs import POLICIES, read_graphs, repair, validate, write_graphs
        from collegium.registry import lookup

        chosen = lookup(POLICIES, policy, "policy", ArgumentError)
        graphs = read_graphs(file)
        kept, repairs, rejected, found = [], Counter[str](), Counter[str](), []
        for graph in graphs:
            problems = validate(graph, chosen)
            mended = repair(graph, chosen)
            repairs.update(mended.repairs)
            if mended.graph is None:
                rejected.update({p.code for p in mended.problems})
            else:
                kept.append(mended.graph)
            found += [{"graph": graph.id, **vars(p)} for p in problems]
            if not as_json:
                for problem in problems:
                    typer.echo(f"{graph.id}: {problem}")
        if out is not None:
            write_graphs(out, kept)
        total = {
            "graphs": len(graphs),
            "sound": len(graphs) - len({p["graph"] for p in found}),
            "usable": len(kept),
            "repairs": dict(sorted(repairs.items())),
            "rejected": dict(sorted(rejected.items())),
        }
        if as_json:
            typer.echo(json.dumps({**total, "problems": found}, indent=1))
        else:
            typer.echo(
                f"{total['graphs']} graphs, {total['sound']} sound, {total['usable']} usable"
                f" after repair (repairs: {_codes(repairs)}; rejected for: {_codes(rejected)})"
            )
        if found:
            raise typer.Exit(2)

    @group.command("stats", help="Sizes, branching, metacognition, what sharing saves.")
    def stats(file: File, as_json: AsJson = False) -> None:
        from collegium.graphs import read_graphs, summary

        figures = summary(read_graphs(file))
        if as_json:
            typer.echo(json.dumps(figures, indent=1))
            return
        for name, value in figures.items():
            shown = value
            if isinstance(value, dict):
                shown = ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
            typer.echo(f"{name.replace('_', ' '):26} {shown}")

    @group.command("texts", help="Write the graphs as chat messages or DPO pairs (JSONL).")
    def texts(
        file: File,
        out: Annotated[Path, typer.Option("--out", help="Write the rows here.")],
        form: Annotated[str, typer.Option("--format", help="messages, dpo or steps.")] = "messages",
        strategy: Annotated[
            list[str] | None,
            typer.Option(
                "--strategy",
                help="best_path, correct_paths, contrastive, depth_first; may be repeated.",
            ),
        ] = None,
        budget: Annotated[int | None, typer.Option(help="Words a text may have.")] = None,
    ) -> None:
        from collegium.atomic import atomic_path
        from collegium.graphs import read_graphs
        from collegium.graphs.export import messages, preference_pairs, rated_steps

        forms = {
            "messages": lambda g: messages(g, strategy or ["correct_paths"], budget=budget),
            "dpo": preference_pairs,
            "steps": rated_steps,
        }
        if form not in forms:
            raise ArgumentError(f"--format {form}: expected one of {', '.join(forms)}")
        rows = [row for graph in read_graphs(file) for row in forms[form](graph)]
        with atomic_path(out) as partial, partial.open("w", encoding="utf-8") as handle:
            for row in rows:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
        typer.echo(f"{out}: {len(rows)} rows")


def _codes(counts: Counter[str]) -> str:
    return ", ".join(f"{code} {n}" for code, n in sorted(counts.items())) or "none"
