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
from collegium.graphs.linear import STRATEGIES, linearise
from collegium.graphs.steps import sentences
from collegium.graphs.tagged import TaggedParser, parse_notes

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
@settings(max_examples=60)
def test_json_and_arrow_lose_nothing(graph: ThoughtGraph) -> None:
    assert ThoughtGraph.from_json(graph.to_json()) == graph
    assert from_table(to_table([graph])) == [graph]


@given(graphs, policies)
@settings(max_examples=100)
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
@settings(max_examples=60)
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


WORDS = """@step @answer @strategy s1 s2 p < | uses why: alt: so: -- @misconception m1
@error_analysis @evaluation ** ``` { } [ ] " : , \\ 3.5 nodes kind text id"""
tags = st.sampled_from([*WORDS.split(), "\n"])
outputs = st.text() | st.lists(tags | texts, max_size=40).map(" ".join)


@given(outputs, st.text(max_size=9), st.sampled_from([None, "stop", "length"]))
@settings(max_examples=80)
def test_parsing_never_raises_and_repairs_are_sound(text: str, problem: str, finish) -> None:
    answer = Answer(value="7", checker="numeric")
    found = parse_notes(text, problem=problem, graph_id="g", answer=answer, finish=finish)
    if found.graph is None:
        return
    assert ThoughtGraph.from_json(found.graph.to_json()) == found.graph
    assert Structure(found.graph).order is not None
    codes = {p.code for p in validate(found.graph)}
    assert not codes & {"E01", "E02", "E03", "E05"}
    outcome = repair(found.graph)
    assert outcome.graph is None or validate(outcome.graph) == []


@given(st.lists(tags | texts, max_size=40).map(" ".join), st.integers(1, 9))
@settings(max_examples=60)
def test_pieces_do_not_matter(text: str, size: int) -> None:
    whole, pieces = TaggedParser(), TaggedParser()
    whole.feed(text)
    for at in range(0, len(text), size):
        pieces.feed(text[at : at + size])
    assert pieces.finish() == whole.finish() and pieces.repairs == whole.repairs


@given(graphs, policies)
@settings(max_examples=80)
def test_texts_conserve_nodes(graph: ThoughtGraph, policy: Policy) -> None:
    sound = repair(graph, policy).graph
    if sound is None:
        return
    ids = {node.id for node in sound.nodes if node.kind != "problem"}
    for text in linearise(sound, list(STRATEGIES)):
        assert set(text.nodes) <= ids and len(set(text.nodes)) == len(text.nodes)
        for segment in text.segments:
            if segment.node is not None:
                assert segment.text == sound.node(segment.node).text
                assert not (sound.node(segment.node).wrong and segment.weight)
    (everything,) = [t for t in linearise(sound, ["depth_first"])] or [None]
    assert everything is None or set(everything.nodes) == ids
    on_paths = {i for path in Structure(sound).paths() for i in path}
    assert on_paths == set(range(len(sound.nodes)))
