"""The schema of thought graphs: its forms, its files, its pictures."""

from __future__ import annotations

import json

import pytest

from collegium.errors import DataError
from collegium.example import Example, Rationale
from collegium.example_io import write_jsonl, write_parquet
from collegium.graphs import (
    Answer,
    Edge,
    Node,
    Structure,
    ThoughtGraph,
    figures,
    fingerprint,
    from_table,
    read_graphs,
    summary,
    to_dot,
    to_mermaid,
    to_table,
    write_graphs,
)


def test_json_names_what_does_not_fit(eggs: ThoughtGraph) -> None:
    assert ThoughtGraph.from_json(eggs.to_json()) == eggs
    values = json.loads(eggs.to_json())
    cases = [
        ({**values, "v": "beluga.graph/2"}, "version 'beluga.graph/1'"),
        ({**values, "nodes": [{"id": "x", "kind": "hunch", "text": ""}]}, r"'nodes\[0\].kind'"),
        ({**values, "edges": [{"src": "p", "dst": 3}]}, r"'edges\[0\].dst'"),
        ({**values, "mood": 1}, "unknown field 'mood'"),
        ({k: v for k, v in values.items() if k != "problem"}, "'problem': missing"),
    ]
    for wrong, message in cases:
        with pytest.raises(DataError, match=message):
            ThoughtGraph.from_json(json.dumps(wrong), where="g.jsonl, line 3")
    with pytest.raises(DataError, match=r"g\.jsonl, line 3: not valid JSON"):
        ThoughtGraph.from_json("{", where="g.jsonl, line 3")


def test_files_hold_the_same_graphs(eggs: ThoughtGraph, tmp_path) -> None:
    other = eggs.model_copy(update={"id": "other", "answer": None, "teacher": None})
    for name in ("a.parquet", "a.jsonl", "a.jsonl.gz"):
        write_graphs(tmp_path / name, [eggs, other])
        assert read_graphs(tmp_path / name) == [eggs, other]
    assert from_table(to_table([eggs, other])) == [eggs, other]
    entry = Rationale(teacher="t", text="", parsed=True, prompt_hash="", graph=eggs.to_json())
    row = Example(id="1", task="w", split="train", question="q", rationales=[entry])
    write_jsonl(tmp_path / "e.jsonl", [row])
    write_parquet(tmp_path / "e.parquet", [row])
    assert read_graphs(tmp_path / "e.jsonl") == read_graphs(tmp_path / "e.parquet") == [eggs]


def test_files_name_file_and_line(eggs: ThoughtGraph, tmp_path) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text(eggs.to_json() + '\n{"v": "beluga.graph/1"}\n')
    with pytest.raises(DataError, match=r"g\.jsonl, line 2, field 'id': missing"):
        read_graphs(path)
    damaged = Rationale(teacher="t", text="", parsed=True, prompt_hash="", graph="{")
    row = Example(id="7", task="w", split="train", question="q", rationales=[damaged])
    write_jsonl(path, [row])
    with pytest.raises(DataError, match=r"example '7', rationales\[0\]\.graph: not valid JSON"):
        read_graphs(path)
    path.write_text("")
    with pytest.raises(DataError, match="holds no thought graphs"):
        read_graphs(path)


def test_structure_of_a_graph_with_a_merge(eggs: ThoughtGraph) -> None:
    structure = Structure(eggs)
    ids = [node.id for node in eggs.nodes]
    answer = ids.index("a")
    assert [ids[i] for i in structure.parents[answer]] == ["e", "t2"]
    assert structure.path_counts()[answer] == 2
    assert len(list(structure.paths())) == 3
    wrong = structure.ancestors[answer] >> ids.index("m") & 1
    assert not wrong
    assert structure.levels()[answer] == 7
    primary = eggs.model_copy(
        update={"edges": (*eggs.edges[:-1], Edge(src="t2", dst="a", kind="primary"))}
    )
    parents = Structure(primary).parents[answer]
    assert ids[parents[0]] == "t2"


def test_fingerprint_passes_over_names_and_order(eggs: ThoughtGraph) -> None:
    nodes = [n.model_copy(update={"id": f"x{n.id}"}) for n in reversed(eggs.nodes)]
    edges = [
        e.model_copy(update={"src": f"x{e.src}", "dst": f"x{e.dst}"}) for e in reversed(eggs.edges)
    ]
    renamed = eggs.model_copy(update={"nodes": tuple(nodes), "edges": tuple(edges)})
    assert fingerprint(renamed) == fingerprint(eggs)
    assert fingerprint(eggs.model_copy(update={"edges": eggs.edges[:-1]})) != fingerprint(eggs)
    changed = eggs.nodes[2].model_copy(update={"text": "6 - 1 = 5 ;"})
    nodes = (*eggs.nodes[:2], changed, *eggs.nodes[3:])
    assert fingerprint(eggs.model_copy(update={"nodes": nodes})) != fingerprint(eggs)


def test_weights_never_teach_wrong_text() -> None:
    def weight(kind, **fields):
        return Node(id="x", kind=kind, text="t", **fields).loss_weight

    assert [weight(k) for k in ("problem", "step", "monitor", "misconception")] == [0, 1, 0.5, 0]
    assert weight("step", correct=False) == weight("misconception", weight=2.0) == 0
    assert weight("step", weight=2.0) == 2
    assert weight("alternative") == 0.3
    assert weight("alternative", correct=True) == 1


def test_pictures_hold_every_node_and_edge(eggs: ThoughtGraph) -> None:
    nasty = eggs.nodes[1].model_copy(update={"text": 'say "<b>" #1 `x` \n\\ end'})
    graph = eggs.model_copy(update={"nodes": (eggs.nodes[0], nasty, *eggs.nodes[2:])})
    mermaid, dot = to_mermaid(graph), to_dot(graph)
    assert mermaid.startswith("flowchart TD\n")
    assert "say #quot;#lt;b#gt;#quot; #35;1 'x' \\ end" in to_mermaid(graph, width=60)
    assert '\\"<b>\\" #1' in dot and dot.rstrip().endswith("}")
    assert sum(" --> " in x or "-->|" in x or "-.->" in x for x in mermaid.splitlines()) == len(
        graph.edges
    )
    assert dot.count(" -> ") == len(graph.edges)


def test_figures(eggs: ThoughtGraph) -> None:
    found = figures(eggs)
    assert (found.leaves, found.merges, found.right_paths) == (2, 1, 2)
    assert (found.misconceptions, found.explained, found.metacognition) == (1, 1, 3)
    total = summary([eggs, eggs])
    assert total["graphs"] == 2 and total["two_paths_or_more"] == 1
    assert total["saving"] > 1.3
    assert summary([]) == {"graphs": 0}


def test_answers_by_checker() -> None:
    from collegium.graphs.answers import agrees_with

    numeric = agrees_with(Answer(value="1,200", checker="numeric"))
    assert numeric("so 3 times 400 is 1200.") and numeric("$1,200") is True
    assert numeric("12") is False and numeric("none") is None
    choice = agrees_with(Answer(value="(b) the sun", checker="mc"))
    assert choice("answer: the sun") is False  # the text alone is not the choice's text
    assert choice("(B)") is True and choice("(c) the sea") is False
    exact = agrees_with(Answer(value="Paris"))
    assert exact("The answer is paris.") and not exact("comparis")
    assert agrees_with(Answer(value="x", checker="code"))("x") is None
