"""Graphs as texts and as rows for other trainers."""

from __future__ import annotations

import pytest

from collegium.errors import ArgumentError, DataError
from collegium.graphs import Structure, ThoughtGraph, validate
from collegium.graphs.export import messages, preference_pairs, rated_steps
from collegium.graphs.linear import STRATEGIES, TAGS, linearise
from collegium.graphs.select import right_paths, with_paths, within, without_kinds


def words(node) -> int:
    return len(node.text.split())


def test_best_and_correct_paths(eggs: ThoughtGraph) -> None:
    best = linearise(eggs, ["best_path"])
    assert [t.nodes for t in best] == [["t1", "s1", "c", "s2", "e", "a"]]
    assert best[0].text(" ").endswith("4 + 3 = 7 ; 7 - 3 + 2 = 6 , as told answer 7")
    both = linearise(eggs, ["best_path", "correct_paths"])
    assert [t.nodes for t in both] == [best[0].nodes, ["t2", "a"]]


def test_contrastive_goes_from_the_mistake_to_the_answer(eggs: ThoughtGraph) -> None:
    (text,) = linearise(eggs, ["contrastive"])
    assert text.nodes == ["t1", "m", "x", "s1", "c", "s2", "e", "a"]
    weights = {s.node: s.weight for s in text.segments}
    assert weights["m"] == 0 and weights["x"] == 1
    assert f"{TAGS['misconception']} 6 + 2 = 8 ;\n{TAGS['error_analysis']}" in text.text()


def test_depth_first_holds_every_node_once(eggs: ThoughtGraph) -> None:
    (text,) = linearise(eggs, ["depth_first"])
    assert sorted(text.nodes) == sorted(n.id for n in eggs.nodes if n.kind != "problem")
    assert text.nodes[-1] == "a"
    structure = Structure(eggs)
    place = {name: i for i, name in enumerate(text.nodes)}
    for i, node in enumerate(eggs.nodes):
        for parent in structure.parents[i]:
            above = eggs.nodes[parent]
            assert above.kind == "problem" or place[above.id] < place[node.id]


def test_budget_prunes_the_least_needed_first(eggs: ThoughtGraph) -> None:
    size = sum(map(words, eggs.nodes))
    kept, gone = within(eggs, size - 5, words)
    assert gone == 2 and {n.id for n in eggs.nodes} - {n.id for n in kept.nodes} == {"m", "x"}
    assert validate(kept) == []
    (text,) = linearise(eggs, ["depth_first"], budget=20)
    assert text.left_out == 5 and text.nodes == ["t1", "s1", "s2", "a"]
    assert linearise(eggs, ["depth_first"], budget=3) == []
    with pytest.raises(ArgumentError, match=r"'best'\. Known: best_path"):
        linearise(eggs, ["best"])


def test_parts_of_a_graph(eggs: ThoughtGraph) -> None:
    bare = without_kinds(eggs, ["misconception", "strategy", "monitor", "evaluation"])
    assert [n.id for n in bare.nodes] == ["p", "s1", "s2", "a"]
    assert validate(bare) == []
    assert len(right_paths(bare)) == 2  # straight from the problem is one of them
    one = with_paths(eggs, 1)
    assert "t2" not in {n.id for n in one.nodes} and "m" in {n.id for n in one.nodes}
    with pytest.raises(DataError, match="needs its answer"):
        without_kinds(eggs, ["answer"])


def test_rows_for_other_trainers(eggs: ThoughtGraph) -> None:
    rows = messages(eggs, list(STRATEGIES))
    assert {r["messages"][0]["content"] for r in rows} == {eggs.problem}
    assert len({r["messages"][1]["content"] for r in rows}) == len(rows) == 4
    (pair,) = preference_pairs(eggs)
    assert pair["chosen"] == "6 - 2 = 4 ;" and pair["rejected"] == "6 + 2 = 8 ;"
    assert pair["prompt"] == f"{eggs.problem}\ngo through the story\n"
    rated = rated_steps(eggs)
    assert [r["ratings"] for r in rated] == [[1] * 6, [1, -1, 1], [1, 1]]
