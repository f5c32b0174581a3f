"""Rationales that carry a thought graph, told as ordinary texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from collegium.example import Example, Rationale
from collegium.graphs.files import graphs_of
from collegium.graphs.linear import linearise
from collegium.objectives.graph_rows import GraphChoice


def with_graph_texts(
    examples: Sequence[Example],
    strategies: Sequence[str],
    *,
    choice: GraphChoice | None = None,
    budget: int | None = None,
) -> tuple[list[Example], Counter[str]]:
    """Return the examples with one rationale for every text of its graph, samples numbered anew.

    Rationales without a graph are left out: the arms of a comparison learn from the same graphs.

    Returns:
        The examples, and counts: ``texts``, thoughts ``pruned`` to the budget, rationales
        ``without a graph``, graphs ``without a text``.
    """
    counts: Counter[str] = Counter()
    out = []
    for example in examples:
        carried = dict(graphs_of(example))
        counts["without a graph"] += len(example.rationales) - len(carried)
        samples: Counter[str] = Counter()
        told: list[Rationale] = []
        for number, graph in carried.items():
            entry = example.rationales[number]
            used = choice.of(graph) if choice is not None else graph
            texts = linearise(used, strategies, budget=budget)
            counts["texts"] += len(texts)
            counts["pruned"] += sum(text.left_out for text in texts)
            counts["without a text"] += not texts
            for text in texts:
                changes = {"text": text.text(), "sample": samples[entry.teacher], "graph": None}
                told.append(entry.model_copy(update=changes))
                samples[entry.teacher] += 1
        out.append(example.model_copy(update={"rationales": told}))
    return out, +counts
