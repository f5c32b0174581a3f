"""Thought graphs as training rows: every path is a prompt and a plain text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from collegium.errors import ArgumentError
from collegium.example import Example, Rationale
from collegium.graphs import Edge, Structure, ThoughtGraph
from collegium.graphs.context import thought_tokens
from collegium.graphs.linear import TAGS
from collegium.objectives import graph_rows
from collegium.objectives.formats import PromptFormat
from collegium.objectives.graph_rows import GraphChoice, graph_nodes, graph_tokens, path_sequences
from collegium.objectives.graph_texts import with_graph_texts
from collegium.objectives.prompts import SpecialIds
from collegium.objectives.trees import encode_trees, encoder_paths, linearise
from collegium.tasks import open_task
from collegium.tasks.wordproblems_graph import GRAPH_WORDS
from collegium.tokenizer import Tokenizer

AFTER = PromptFormat(marker_position="after")
NAMES = ["label", "rationale:t"]


def carrying(graph: ThoughtGraph, answer: str = "7") -> Example:
    entry = Rationale(
        teacher="t",
        text="x",
        answer=answer,
        parsed=True,
        prompt_hash="",
        graph=graph.to_json(),
    )
    return Example(
        id="q",
        task="wordproblems",
        split="train",
        question=graph.problem,
        answer=answer,
        rationales=[entry],
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, SpecialIds]:
    """A word-level tokenizer of the task, as a recipe trains one."""
    from collegium.pipeline.tokenizer import train_tokenizer
    from collegium.recipe import TokenizerTraining

    folder: Path = tmp_path_factory.mktemp("words")
    task = open_task("wordproblems", options={"train": 60, "validation": 1, "test": 1})
    extra = ["predict: explain:", *TAGS.values(), GRAPH_WORDS]
    extra.append("go through the story one change is still to come as told gives makes it fewer ,")
    extra.append("eggs Max all changes first: more")
    train_tokenizer(task, TokenizerTraining(), extra, folder)
    return Tokenizer.from_pretrained(folder), SpecialIds(eos=2, pad=0, bos=1)


def encode(graph, words, names=NAMES, **options):
    tokenizer, special = words
    return graph_nodes(
        [carrying(graph)],
        tokenizer,
        AFTER,
        names,
        special,
        input_text=lambda example: example.question,
        **options,
    )


def tree(eggs: ThoughtGraph) -> ThoughtGraph:
    """The graph with an answer of its own for the second way."""
    own = eggs.node("a").model_copy(update={"id": "a2"})
    edges = (*eggs.edges[:-1], Edge(src="t2", dst="a2"))
    return eggs.model_copy(update={"nodes": (*eggs.nodes, own), "edges": edges})


def test_every_path_is_prompt_and_text(eggs: ThoughtGraph, words) -> None:
    tokenizer, special = words
    graph = tree(eggs)
    ids, rows, counts = encode(graph, words)
    assert ids == ["q"] and counts.graphs == 1 and not counts.joined
    found = {tuple(s.input_ids + s.edge_target[-1:]) for s in path_sequences(ids, rows, NAMES)}
    structure = Structure(graph)
    expected = set()
    for path in structure.paths():
        said = [graph.nodes[i].text for i in path if graph.nodes[i].kind != "problem"]
        text = "\n".join([f"{graph.problem} explain:", *said])
        own = tokenizer.encode_batch([text], add_special_tokens=False).ids.tolist()
        ends = graph.nodes[path[-1]].kind == "answer"  # only an answer ends a text
        expected.add((special.bos, *own, special.eos) if ends else (special.bos, *own))
    label = tokenizer.encode_batch([f"{graph.problem} predict:\n7"], add_special_tokens=False)
    expected.add((special.bos, *label.ids.tolist(), special.eos))
    assert found == expected


def test_wrong_text_is_never_a_target(eggs: ThoughtGraph, words) -> None:
    tokenizer, _ = words
    wrong = eggs.node("m").model_copy(update={"text": "6 * 2 = 10 ;", "weight": 3.0})
    nodes = tuple(wrong if n.id == "m" else n for n in tree(eggs).nodes)
    graph = tree(eggs).model_copy(update={"nodes": nodes})
    ids, rows, _ = encode(graph, words)
    marked = set(tokenizer.encode_batch(["* 10"], add_special_tokens=False).ids.tolist())
    trees, _ = encode_trees(ids, graph_tokens_of(rows), tuple(NAMES))
    for item in (*path_sequences(ids, rows, NAMES), *trees):
        assert not marked & set(map(int, item.edge_target))
    assert marked <= set(map(int, trees[0].input_ids))


def graph_tokens_of(rows):
    from collegium.unrolling import GraphTokens

    return GraphTokens.from_nodes(rows)


def test_packed_rows_hold_each_thought_once(eggs: ThoughtGraph, words) -> None:
    ids, rows, _ = encode(tree(eggs), words)
    sequences = list(path_sequences(ids, rows, NAMES))
    trees, counts = encode_trees(ids, graph_tokens_of(rows), tuple(NAMES))
    assert counts.trees == 1 and counts.input_tokens < sum(map(len, sequences)) / 1.5
    paths = {tuple(p.input_ids.tolist()) for p in linearise(trees[0])}
    assert paths == {tuple(s.input_ids) for s in sequences}
    learnt = sum(len(n.tokens) for n in rows[0] if n.weight > 0)
    assert len(trees[0].edge_src) == learnt


def test_choices(eggs: ThoughtGraph, words) -> None:
    everything = encode(eggs, words)[2].nodes
    less = GraphChoice(leave_out=("misconception", "monitor"))
    assert encode(eggs, words, choice=less)[2].nodes == everything - 3
    one = GraphChoice(max_paths=1)
    assert encode(eggs, words, choice=one)[2].nodes == everything - 1
    heavy = GraphChoice(weights={"answer": 2.0, "misconception": 5.0})
    weights = {n.weight for n in encode(eggs, words, choice=heavy)[1][0]}
    assert weights == {0.0, 0.5, 1.0, 2.0}


def test_an_encoder_reads_the_prompts_and_a_decoder_the_paths(eggs: ThoughtGraph, words) -> None:
    tokenizer, special = words
    graph = tree(eggs)
    ids, rows, counts = encode(graph, words, kind="encoder-decoder")
    assert ids == ["q", "q"] and counts.graphs == 1
    prompts = {
        (*tokenizer.encode_batch([text], add_special_tokens=False).ids.tolist(), special.eos)
        for text in (f"{graph.problem} predict:", f"{graph.problem} explain:")
    }
    trees, made = encode_trees(ids, graph_tokens_of(rows), tuple(NAMES))
    paths = [p for t in trees for p in encoder_paths(t, decoder_start=special.decoder_first)]
    sequences = list(path_sequences(ids, rows, NAMES, decoder_start=special.decoder_first))
    for items in (paths, sequences):
        assert {tuple(item.encoder_ids or ()) for item in items} == prompts
        assert all(item.input_ids[0] == special.pad for item in items)
    assert {tuple(p.input_ids.tolist()) for p in paths} == {tuple(s.input_ids) for s in sequences}
    for item in sequences:
        followed = [*item.input_ids[1:], item.edge_target[-1]]
        assert [followed[src] for src in item.edge_src] == item.edge_target
    # Each thought is learnt once, as a decoder-only student learns it.
    alike = encode_trees(*token_graphs(encode(graph, words)), tuple(NAMES))[0]
    learnt = [sorted(map(int, np.concatenate([t.edge_target for t in g]))) for g in (paths, alike)]
    assert learnt[0] == learnt[1] and len(learnt[0]) == made.target_tokens


def test_tokens_are_those_of_the_plain_text(eggs: ThoughtGraph) -> None:
    """A tokenizer that marks beginnings: deeper thoughts, too, take the marks of their place."""
    structure = Structure(tree(eggs))
    nodes = structure.graph.nodes

    def marked(texts: Sequence[str]) -> list[list[int]]:
        return [list(map(ord, "_" + text)) for text in texts]

    found = thought_tokens(structure, marked)
    assert not found.problems and found.joined == len(found.ids) - 2
    for path in structure.paths():
        own = [found.ids[i] for i in path if nodes[i].kind != "problem"]
        text = "\n".join(nodes[i].text for i in path if nodes[i].kind != "problem")
        assert list(itertools.chain(*own)) == marked([text])[0]


def test_texts_that_run_into_each_other_are_named(eggs: ThoughtGraph, words, monkeypatch) -> None:
    def across(texts: Sequence[str]) -> list[list[int]]:
        """Line breaks become one token with the letter behind them."""
        found = [[*map(ord, text)] for text in texts]
        for ids in found:
            for k in range(len(ids) - 1, 0, -1):
                if ids[k - 1] == ord("\n"):
                    ids[k - 1 : k + 1] = [1000 + ids[k]]
        return found

    graph = tree(eggs)
    problems = thought_tokens(Structure(graph), across).problems
    assert {p.code for p in problems} == {"E16"} and len(problems) > 3
    assert graph.node(problems[0].node or "") and problems[0].other
    assert f"end {problems[0].other!r} with a sign" in problems[0].fix
    monkeypatch.setattr(graph_rows, "_encode", lambda tokenizer, texts: across(texts))
    counts = encode(graph, words)[2]
    assert counts.graphs == 1 and counts.apart == len(problems)
    assert "E16 nodes[" in counts.first_apart
    counts = encode(graph, words, choice=GraphChoice(keep_apart=False))[2]
    assert counts.graphs == 0 and counts.dropped["E16"] == 1


def token_graphs(found):
    ids, rows, _ = found
    return ids, graph_tokens_of(rows)


def test_rows_need_the_marker_behind(eggs: ThoughtGraph, words) -> None:
    tokenizer, special = words
    with pytest.raises(ArgumentError, match=r"pack\.marker_position to after"):
        graph_tokens(
            [carrying(eggs)],
            tokenizer,
            PromptFormat(),
            NAMES,
            special,
            input_text=lambda example: example.question,
        )


def test_texts_stand_for_graphs(eggs: ThoughtGraph) -> None:
    plain = Rationale(teacher="u", text="plain", parsed=True, prompt_hash="")
    example = carrying(eggs)
    example = example.model_copy(update={"rationales": [*example.rationales, plain]})
    (told,), counts = with_graph_texts([example], ["best_path", "contrastive"])
    assert [(r.teacher, r.sample) for r in told.rationales] == [("t", 0), ("t", 1)]
    assert told.rationales[0].text.endswith("answer 7") and told.rationales[0].graph is None
    assert counts == {"texts": 2, "without a graph": 1}
