"""Graphs made without a language model: from stories and from formulas."""

from __future__ import annotations

from fractions import Fraction

import pytest

from collegium.errors import DataError
from collegium.graphs import BELUGA, figures, validate
from collegium.graphs.formula import FormulaMistake, formula_graph, mistakes, operations
from collegium.graphs.steps import sentences, steps
from collegium.tasks import open_task
from collegium.tasks.wordproblems_graph import GRAPH_WORDS, story_graph
from collegium.tasks.wordproblems_story import read_story


@pytest.mark.parametrize("difficulty", ["easy", "default", "hard"])
def test_stories_make_sound_graphs(difficulty: str) -> None:
    task = open_task("wordproblems", options={"difficulty": difficulty, "train": 60})
    splits = task.load()
    known = {word for text in task.corpus(splits) for word in text.split()}
    known.update(GRAPH_WORDS.split())
    for example in splits["train"]:
        story = read_story(example.question)
        graph = story_graph(
            example.question, story, graph_id=example.id, max_value=task.level.max_value
        )
        assert validate(graph, BELUGA) == []
        found = figures(graph)
        assert found.right_paths >= 2 and found.misconceptions >= 1
        words = {word for node in graph.nodes for word in node.text.split()}
        assert words <= known
        for node in graph.nodes:
            if node.kind == "answer":
                assert task.check(task.parse(node.text).answer, example)


def test_formula_mistakes_are_typed_and_wrong() -> None:
    found = operations("( ( 18 - 10 ) * 15 )")
    assert [str(op) for op in found] == ["18 - 10 = 8", "8 * 15 = 120"]
    wrong = list(mistakes(found, [Fraction(7)]))
    assert {kind for kind, *_ in wrong} == set(FormulaMistake)
    for kind, i, op, reason in wrong:
        assert op.result != found[i].result and reason
        if kind is FormulaMistake.EXTRA_NUMBER:
            assert str(op) == "120 + 7 = 127"


def test_formulas_that_cannot_be_worked_out() -> None:
    for text in ("", "1 / 0", "2 ** 9", "__import__('os')", "( 1 + ", "9" * 3000, "x + 1"):
        with pytest.raises(DataError, match="formula"):
            formula_graph("p", text, graph_id="g", conclusion="c")
    with pytest.raises(DataError, match="no operation"):
        formula_graph("p", "( 7.0 )", graph_id="g", conclusion="c")


def test_svamp_equations_make_sound_graphs(shared) -> None:
    task = open_task(None, shared / "data" / "svamp")
    rows = [e for split in task.load().values() for e in split][::8]
    kinds = 0
    for example in rows:
        if not operations(example.answer):
            continue  # a question that gives its answer away
        graph = formula_graph(
            example.question,
            example.answer,
            graph_id=example.id,
            conclusion=task.conclusion(example.answer),
        )

        def agrees(text: str, example=example) -> bool:
            return task.check(task.parse(text).answer, example)

        assert validate(graph, BELUGA, agrees=agrees) == []
        kinds += figures(graph).misconceptions
    assert len(rows) == 125 and kinds > 3 * len(rows)


def test_sentences_do_not_end_in_numbers_abbreviations_or_marks() -> None:
    cases = {
        "It is 3.5 kg. Fine.": ["It is 3.5 kg.", "Fine."],
        "Dr. Smith paid $2.50. OK!": ["Dr. Smith paid $2.50.", "OK!"],
        "So <<3.5*2=7. ok>>7 it is. Yes": ["So <<3.5*2=7. ok>>7 it is.", "Yes"],
        "Use e.g. 4 cups, i.e. all.": ["Use e.g. 4 cups, i.e. all."],
        "Look at No. 5. It is red.": ["Look at No. 5.", "It is red."],
        "J. R. Smith left. Is it 5? No.": ["J. R. Smith left.", "Is it 5?", "No."],
        "5 + 3 = 8 ; 8 - 1 = 7 ;": ["5 + 3 = 8 ;", "8 - 1 = 7 ;"],
        "a\nb": ["a", "b"],
    }
    for text, expected in cases.items():
        assert sentences(text) == expected
    numbered = "1. Add 3 + 4 = 7.\n2) Stop.\n- Step 3: 7."
    assert steps(numbered) == ["Add 3 + 4 = 7.", "Stop.", "Step 3: 7."]
