"""Every code of the validation: found with its place, mended or rejected by policy, counted."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError

from collegium.graphs import (
    BELUGA,
    Answer,
    Edge,
    Node,
    Policy,
    Structure,
    ThoughtGraph,
    repair,
    validate,
)


def put(graph: ThoughtGraph, *, nodes=(), edges=(), **changes) -> ThoughtGraph:
    return graph.model_copy(
        update={"nodes": (*graph.nodes, *nodes), "edges": (*graph.edges, *edges), **changes}
    )


def swap(graph: ThoughtGraph, identifier: str, **changes) -> ThoughtGraph:
    nodes = tuple(n.model_copy(update=changes) if n.id == identifier else n for n in graph.nodes)
    return graph.model_copy(update={"nodes": nodes})


def codes(graph: ThoughtGraph, policy: Policy | None = None, **options) -> list[str]:
    return [p.code for p in validate(graph, policy, **options)]


def mended(graph: ThoughtGraph, code: str, policy: Policy | None = None) -> ThoughtGraph:
    """Return the repaired graph, having checked that `code` was found, counted and can reject."""
    assert code in codes(graph, policy)
    rejecting = (policy or Policy()).model_copy(update={"actions": {code: "reject"}})
    assert repair(graph, rejecting).graph is None
    outcome = repair(graph, policy)
    assert outcome.graph is not None, outcome.problems
    assert outcome.repairs[code] > 0
    assert validate(outcome.graph, policy) == []
    return outcome.graph


def test_a_sound_graph_has_no_problems(eggs: ThoughtGraph) -> None:
    assert validate(eggs) == [] == validate(eggs, BELUGA)
    outcome = repair(eggs)
    assert outcome.graph is eggs and not outcome.repairs


def test_e01_duplicate_ids(eggs: ThoughtGraph) -> None:
    copied = put(eggs, nodes=[eggs.nodes[2]])
    assert mended(copied, "E01") == eggs
    other = put(eggs, nodes=[Node(id="s1", kind="step", text="something else")])
    problem = validate(other)[0]
    assert (problem.code, problem.place, problem.node) == ("E01", f"nodes[{len(eggs.nodes)}]", "s1")
    assert mended(other, "E01") == eggs


def test_e02_dangling_edge(eggs: ThoughtGraph) -> None:
    graph = put(eggs, edges=[Edge(src="s1", dst="ghost")])
    assert "no node 'ghost'" in str(validate(graph)[0])
    assert mended(graph, "E02") == eggs


def test_e03_cycle(eggs: ThoughtGraph) -> None:
    graph = put(eggs, edges=[Edge(src="s2", dst="s1")])
    assert validate(graph)[0].place == f"edges[{len(eggs.edges)}]"
    assert mended(graph, "E03") == eggs
    assert mended(put(eggs, edges=[Edge(src="s1", dst="s1")]), "E03") == eggs


def test_e04_roots(eggs: ThoughtGraph) -> None:
    second = put(
        eggs,
        nodes=[Node(id="q", kind="problem", text="again")],
        edges=[Edge(src="q", dst="t1")],
    )
    assert mended(second, "E04").nodes == eggs.nodes
    none = eggs.model_copy(update={"nodes": eggs.nodes[1:], "edges": eggs.edges[2:]})
    assert mended(none, "E04").nodes[0].kind == "problem"
    assert mended(put(eggs, edges=[Edge(src="s1", dst="p")]), "E03") == eggs
    assert mended(swap(eggs, "p", text="another story"), "E04") == eggs
    lost = none.model_copy(update={"problem": " "})
    assert repair(lost).problems[0].code == "E04"


def test_e05_unreachable(eggs: ThoughtGraph) -> None:
    island = [Node(id="i", kind="step", text="far"), Node(id="j", kind="step", text="away")]
    graph = put(eggs, nodes=island, edges=[Edge(src="i", dst="j")])
    assert codes(graph) == ["E05", "E05"]
    assert mended(graph, "E05") == eggs


def test_e06_no_answer(eggs: ThoughtGraph) -> None:
    graph = swap(eggs, "a", kind="step")
    outcome = repair(graph)
    assert outcome.graph is None and outcome.problems[0].code == "E06"
    assert "add an answer" in str(outcome.problems[0])


def test_e07_wrong_answer(eggs: ThoughtGraph) -> None:
    graph = put(
        eggs,
        nodes=[
            Node(id="w", kind="step", text="6 + 2 = 8 ;"),
            Node(id="v", kind="answer", text="answer 8"),
        ],
        edges=[Edge(src="t1", dst="w", kind="fork"), Edge(src="w", dst="v")],
    )
    assert mended(graph, "E07") == eggs
    assert codes(swap(graph, "v", correct=False)) == []
    assert codes(graph, agrees=lambda text: None) == []


def test_e08_wrong_text_before_an_answer(eggs: ThoughtGraph) -> None:
    graph = put(eggs, edges=[Edge(src="m", dst="s2")])
    assert codes(graph) == ["E08"]
    assert mended(graph, "E08") == eggs
    through = put(eggs, edges=[Edge(src="x", dst="s2")])
    assert codes(through) == []
    assert mended(swap(eggs, "m", weight=1.0), "E08") == eggs


def test_e09_paths(eggs: ThoughtGraph) -> None:
    assert codes(eggs, Policy(min_paths=2)) == []
    outcome = repair(eggs, Policy(min_paths=3))
    assert outcome.graph is None
    assert "2 paths without mistakes to an answer, 3 demanded" in str(outcome.problems[0])


def test_e10_text(eggs: ThoughtGraph) -> None:
    graph = mended(swap(eggs, "s1", text="  "), "E10")
    assert "s1" not in {n.id for n in graph.nodes}
    assert any(e.src == "t1" and e.dst == "c" for e in graph.edges)
    long = swap(eggs, "c", text="All is well. " + "more words " * 40)
    assert mended(long, "E10", Policy(max_text=100)).node("c").text == "All is well."
    assert mended(swap(eggs, "p", text=""), "E10") == eggs


def test_e11_sizes(eggs: ThoughtGraph) -> None:
    outcome = repair(eggs, Policy(max_nodes=5))
    assert outcome.problems[0].code == "E11" and outcome.problems[0].place == "graph"
    deep = put(
        eggs,
        nodes=[Node(id="d", kind="step", text="word " * 90)],
        edges=[Edge(src="s2", dst="d")],
    )
    assert mended(deep, "E11", Policy(max_depth=60)) == eggs
    by_size = Policy(max_depth=7)
    assert codes(eggs, by_size, size=lambda node: 1) == []
    assert codes(put(eggs, edges=[Edge(src="a", dst="x")]), by_size, size=lambda n: 1)[0] == "E06"


def test_e12_the_answer_given_away(eggs: ThoughtGraph) -> None:
    text = "Go forwards. The answer is 7. Then stop."
    graph = mended(swap(eggs, "t1", text=text), "E12")
    assert graph.node("t1").text == "Go forwards. Then stop."
    gone = mended(swap(eggs, "t1", text="The answer is 7"), "E12")
    assert "t1" not in {n.id for n in gone.nodes}
    told = swap(eggs, "p", text="answer: 7").model_copy(update={"problem": "answer: 7"})
    assert repair(told).problems[0].code == "E12"


def test_e13_siblings(eggs: ThoughtGraph) -> None:
    graph = put(
        eggs,
        nodes=[
            Node(id="s1b", kind="step", text="6 - 2 =  4 ;"),
            Node(id="k", kind="step", text="k"),
        ],
        edges=[Edge(src="t1", dst="s1b"), Edge(src="s1b", dst="k")],
    )
    fixed = mended(graph, "E13")
    assert any(e.src == "s1" and e.dst == "k" for e in fixed.edges)
    turned = put(
        eggs,
        nodes=[Node(id="y", kind="step", text="2 - 6 = 4 ;")],
        edges=[Edge(src="t1", dst="y")],
    )
    assert codes(turned) == []


def test_e14_unexplained_misconception(eggs: ThoughtGraph) -> None:
    graph = put(
        eggs,
        nodes=[Node(id="m2", kind="misconception", text="6 * 2 = 12 ;")],
        edges=[Edge(src="t1", dst="m2", kind="error")],
    )
    assert mended(graph, "E14") == eggs


def test_e15_demands(eggs: ThoughtGraph) -> None:
    assert codes(swap(eggs, "s1", why=None), BELUGA) == ["E15"]
    assert codes(swap(eggs, "m", kind="alternative"), BELUGA) == ["E15"]
    assert codes(swap(eggs, "c", kind="step", why="w", contributes="c"), BELUGA) == ["E15"]


def test_policies_are_checked(eggs: ThoughtGraph) -> None:
    with pytest.raises(ValidationError, match="unknown code 'E99'"):
        Policy(actions={"E99": "fix"})
    assert (
        codes(put(eggs, edges=[Edge(src="s1", dst="x9")]), Policy(actions={"E02": "ignore"})) == []
    )


def test_many_nodes_are_rejected_at_once() -> None:
    nodes = tuple(Node(id=str(i), kind="step", text="t") for i in range(10_000))
    edges = tuple(Edge(src=str(i), dst=str(j)) for i in range(9_999) for j in (i + 1, 0))
    graph = ThoughtGraph(id="big", problem="p", answer=Answer(value="1"), nodes=nodes, edges=edges)
    start = time.process_time()
    assert codes(graph) == ["E11"]
    assert repair(graph).graph is None
    assert time.process_time() - start < 1


def test_paths_are_taken_as_needed() -> None:
    """A ladder of 40 diamonds has 2**40 paths; counting and taking a few is quick."""
    nodes = [Node(id="n0", kind="problem", text="p")]
    edges = []
    for i in range(40):
        nodes += [Node(id=f"{side}{i}", kind="step", text=f"{side}{i}") for side in "lr"]
        nodes.append(Node(id=f"n{i + 1}", kind="step", text=f"n{i + 1}"))
        for side in "lr":
            edges += [Edge(src=f"n{i}", dst=f"{side}{i}"), Edge(src=f"{side}{i}", dst=f"n{i + 1}")]
    nodes[-1] = nodes[-1].model_copy(update={"kind": "answer"})
    graph = ThoughtGraph(id="g", problem="p", nodes=tuple(nodes), edges=tuple(edges))
    structure = Structure(graph)
    assert structure.path_counts()[-1] == 2**40
    assert len(next(structure.paths())) == 81
    assert validate(graph, Policy(min_paths=1000)) == []
