"""Graphs for other trainers: chat messages, preference pairs, rated steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collegium.graphs.graph import ThoughtGraph
from collegium.graphs.kinds import MENDING
from collegium.graphs.linear import linearise
from collegium.graphs.select import right_paths
from collegium.graphs.structure import Structure


def messages(
    graph: ThoughtGraph,
    strategies: Sequence[str] = ("correct_paths",),
    *,
    budget: int | None = None,
) -> list[dict[str, Any]]:
    """Return rows ``{"messages": [user, assistant]}``, one a text of the strategies."""
    return [
        {
            "messages": [
                {"role": "user", "content": graph.problem},
                {"role": "assistant", "content": text.text()},
            ]
        }
        for text in linearise(graph, strategies, budget=budget)
    ]


def preference_pairs(graph: ThoughtGraph) -> list[dict[str, str]]:
    """Return rows ``{prompt, chosen, rejected}`` (DPO), one a mistake.

    The prompt is the problem and the way to where the mistake was made; chosen is the right step
    there, rejected the mistake. Where no right step follows, the correction is chosen.
    """
    structure = Structure(graph)
    ways = right_paths(graph, 64)
    pairs = []
    for i, node in enumerate(graph.nodes):
        if node.kind != "misconception" or not structure.parents[i]:
            continue
        place = structure.parents[i][0]
        way = next((w for w in ways if place in w and w[-1] != place), None)
        if way is not None:
            before, chosen = way[: way.index(place) + 1], graph.nodes[way[way.index(place) + 1]]
        else:
            before = [place]
            while structure.parents[before[0]]:
                before.insert(0, structure.parents[before[0]][0])
            mended = [
                graph.nodes[k]
                for c in structure.children[i]
                for k in (c, *structure.children[c])
                if graph.nodes[k].kind == "correction"
            ]
            if not mended:
                continue
            chosen = mended[0]
        prompt = "\n".join(graph.nodes[k].text for k in before)
        pairs.append({"prompt": f"{prompt}\n", "chosen": chosen.text, "rejected": node.text})
    return pairs


def rated_steps(graph: ThoughtGraph) -> list[dict[str, Any]]:
    """Return rows ``{problem, steps, ratings}``: each root-to-leaf path with 1, 0 or -1 a step.

    1: on a path to a right answer, or known to be right; -1: wrong; 0: unknown. The form of
    process-supervision data (Lightman et al. 2023, arXiv 2305.20050).
    """
    structure = Structure(graph)
    good = {i for path in right_paths(graph, 64) for i in path}
    rows = []
    for path in structure.paths():
        nodes = [i for i in path if graph.nodes[i].kind != "problem"]
        ratings = []
        for i in nodes:
            node = graph.nodes[i]
            known = node.correct or i in good or node.kind in MENDING
            ratings.append(-1 if node.wrong else 1 if known else 0)
        steps = [graph.nodes[i].text for i in nodes]
        rows.append({"problem": graph.problem, "steps": steps, "ratings": ratings})
        if len(rows) == 256:
            break
    return rows
