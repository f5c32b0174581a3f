"""Random graphs, sound and unsound: forms are lossless, repairs end in sound graphs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.graphs import (
    Alternative,
    Answer,
    Edge,
    Node,
    Policy,
    Source,
    Structure,
    ThoughtGraph,
    from_table,
    repair,
    to_dot,
    to_mermaid,
    to_table,
    validate,
)
from collegium.graphs.kinds import EDGE_KINDS, NODE_KINDS
from collegium.graphs.steps import sentences

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
pieces = "a b 3 4 3.5 = answer is 7 . ;"
words = st.lists(st.sampled_from(pieces.split()), max_size=6).map(" ".join)
names = st.sampled_from([f"n{i}" for i in range(9)])


@st.composite
def nodes(draw) -> Node:
    return Node(
        id=draw(names),
        kind=draw(st.sampled_from(NODE_KINDS)),
        text=draw(texts | words),
        why=draw(st.none() | texts),
        alternatives=tuple(
            Alternative(option=o, reason_rejected=r)
            for o, r in draw(st.lists(st.tuples(texts, texts), max_size=2))
        ),
        contributes=draw(st.none() | texts),
        correct=draw(st.none() | st.booleans()),
        weight=draw(st.none() | st.floats(0, 4)),
        span=draw(st.none() | st.tuples(st.integers(0, 9), st.integers(9, 99))),
    )


edges = st.builds(Edge, src=names, dst=names, kind=st.sampled_from(EDGE_KINDS))
graphs = st.builds(
    ThoughtGraph,
    id=texts,
    problem=texts,
    problem_lang=st.none() | texts,
    answer=st.none()
    | st.builds(
        Answer,
        value=words | texts,
        checker=st.sampled_from(["exact", "numeric", "mc", "code", "none"]),
        verified=st.booleans(),
    ),
    nodes=st.lists(nodes(), max_size=10).map(tuple),
    edges=st.lists(edges, max_size=24).map(tuple),
    teacher=st.none() | st.builds(Source, model=texts, seed=st.none() | st.integers(0, 2**62)),
    license=st.none() | texts,
)
policies = st.builds(
    Policy,
    max_nodes=st.integers(2, 12),
    max_text=st.integers(1, 30),
    max_depth=st.none() | st.integers(1, 12),
    min_paths=st.integers(0, 2),
)


@given(graphs)
@settings(max_examples=150)
def test_json_and_arrow_lose_nothing(graph: ThoughtGraph) -> None:
    assert ThoughtGraph.from_json(graph.to_json()) == graph
    assert from_table(to_table([graph])) == [graph]


@given(graphs, policies)
@settings(max_examples=400)
def test_a_repaired_graph_is_sound(graph: ThoughtGraph, policy: Policy) -> None:
    outcome = repair(graph, policy)
    if outcome.graph is None:
        assert outcome.problems
        return
    assert validate(outcome.graph, policy) == []
    assert bool(outcome.repairs) == (outcome.graph != graph)
    sound = Structure(outcome.graph)
    assert sound.order is not None and len(sound.roots) == 1
    for node in outcome.graph.nodes:
        assert not (node.wrong and node.loss_weight)


@given(graphs)
@settings(max_examples=100)
def test_problems_and_pictures_of_anything(graph: ThoughtGraph) -> None:
    for problem in validate(graph):
        assert problem.fix and str(problem)
        if problem.place.startswith("nodes"):
            assert graph.nodes[problem.index].id == problem.node
    to_mermaid(graph)
    to_dot(graph)


@given(st.text())
def test_sentences_keep_every_character(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
