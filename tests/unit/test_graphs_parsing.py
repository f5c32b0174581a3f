"""From a teacher's output to a graph: what weak models write is set right, and counted."""

from __future__ import annotations

import json

import pytest

from collegium.graphs import BELUGA, Answer, repair, validate
from collegium.graphs.headers import header
from collegium.graphs.notes import PARSE_CODES
from collegium.graphs.prompts import STAGES, GraphPrompts
from collegium.graphs.tagged import TaggedParser, parse_notes

PROBLEM = "A box holds 12 pencils. Lea buys 3 boxes and gives 9 away. How many has she?"
ANSWER = Answer(value="27", checker="numeric")

WHOLE = """\
@strategy t1 < p
Count all pencils first.
why: the story tells it in this order
alt: subtract first -- the 9 do not fit one box
@step s1 < t1
3 * 12 = 36 pencils.
why: every box holds the same number
so: the number before any is given away
@monitor c1 < s1
The 9 are still to be taken away.
@misconception m1 < s1
36 + 9 = 45
@error_analysis e1 < m1
Giving away makes it fewer.
@step s2 < c1 | uses s1
36 - 9 = 27
@answer a1 < s2
27
"""


def parse(text, **options):
    found = parse_notes(text, problem=PROBLEM, graph_id="g", answer=ANSWER, **options)
    return found.graph, {code: n for code, n in found.repairs.items() if n}


def parents(graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.kind in ("next", "primary", "fork", "error"):
            found.setdefault(edge.dst, []).append(edge.src)
    return found


def test_a_whole_output_needs_no_repair() -> None:
    graph, repairs = parse(WHOLE)
    assert repairs == {}
    assert validate(graph) == []
    assert parents(graph)["s2"] == ["c1"]
    s1 = graph.node("s1")
    assert (s1.why, s1.contributes) == (
        "every box holds the same number",
        "the number before any is given away",
    )
    assert WHOLE[slice(*s1.span)].startswith("@step s1 < t1\n3 * 12")
    assert graph.node("t1").alternatives[0].reason_rejected == "the 9 do not fit one box"
    kinds = {(e.src, e.dst): e.kind for e in graph.edges}
    assert kinds["s1", "m1"] == "error" and kinds["e1", "s1"] == "fixes"
    assert kinds["s1", "s2"] == "uses"
    assert graph.node("a1").correct is True and graph.answer.verified
    assert graph.node("m1").correct is False


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Sure! Here are the notes:\n```\n" + WHOLE + "```\n", {"P01": 1}),
        ("@hunch h1 < p\nmaybe\n@answer a1 < h1\n27", {"P02": 1}),
        ("@step < p\n12\n@answer < step1\n27", {"P03": 2}),
        ("@step s1 < p\n12\n@step s1 < s1\n36\n@answer a1 < s1\n27", {"P04": 1}),
        ("@step s1\n36\n@answer a1\n27", {"P05": 2}),
        ("@step s1 < s9\n36\n@answer a1 < s1\n27", {"P05": 1, "P06": 1}),
        ("@step s1 < s1\n36\n@answer a1 < s1\n27", {"P05": 1, "P07": 1}),
        ("**@step s1 < p**\n36\n### Answer: 27", {"P03": 1, "P05": 1, "P09": 2}),
        ("@step s1 < p\n\n@step s2 < s1\n36\n@answer a1 < s2\n27", {"P10": 1}),
        ("@problem p\n" + PROBLEM + "\n@answer a1 < p\n27", {"P11": 1}),
        ("@step s1 < p\n36\n@answer a1 < s1\n27\n@evaluation v1 < a1\nfits", {"P12": 1}),
        (
            "@misconception m1 < p\n45\n@error_analysis e1 < p\nno\n@answer a1 < p\n27",
            {"P13": 1},
        ),
        ("@answer a1 < p\n27\n@step s1 < a1\n36\n", {"P15": 1}),
    ],
)
def test_what_weak_models_write(text: str, codes: dict[str, int]) -> None:
    graph, repairs = parse(text)
    assert repairs == codes
    assert set(repairs) <= set(PARSE_CODES)
    assert repair(graph).graph is not None


def test_an_evaluation_of_an_answer_stands_before_it() -> None:
    graph, _ = parse("@step s1 < p\n36\n@answer a1 < s1\n27\n@evaluation v1 < a1\nfits")
    assert parents(graph) == {"s1": ["p"], "v1": ["s1"], "a1": ["v1"]}


def test_a_second_way_starts_at_the_problem_again() -> None:
    text = "Strategy 1: count\nStep 1: 36\nAnswer: 27\nStrategy 2: guess\nStep 1: 27\nAnswer: 27"
    graph, repairs = parse(text)
    assert repairs["P04"] == 1  # the second step 1
    assert parents(graph)["strategy2"] == ["p"]
    assert parents(graph)["step1~2"] == ["strategy2"]
    assert len([n for n in graph.nodes if n.correct]) == 2


def test_steps_without_parents_go_to_the_plans_in_turn() -> None:
    text = "@strategy t1 < p\na\n@strategy t2 < p\nb\n@step s1\n36\n@answer a1 < s1\n27\n"
    graph, repairs = parse(text + "@step s2: 27\n@answer a2 < s2\n27")
    assert parents(graph)["s1"] == ["t1"] and parents(graph)["s2"] == ["t2"]
    assert repairs == {"P05": 2, "P09": 1}


def test_a_chain_of_parents() -> None:
    graph, repairs = parse("@step s1 < p\n36\n@step s2 < c1 < s1\n27\n@answer a1 < s2 < s1\n27")
    assert parents(graph) == {"s1": ["p"], "s2": ["s1"], "a1": ["s2"]}
    assert repairs == {"P09": 2}


def test_a_tail_that_is_cut_off() -> None:
    text = WHOLE[: WHOLE.index(" fewer")]
    graph, repairs = parse(text, finish="length")
    assert repairs == {"P08": 1} and "e1" not in {n.id for n in graph.nodes}
    graph, repairs = parse(WHOLE, finish="length")  # it was cut off behind a whole note
    assert repairs == {} and "a1" in {n.id for n in graph.nodes}


def test_pieces_of_any_size_give_the_same_notes() -> None:
    whole = TaggedParser()
    whole.feed(WHOLE)
    for size in (1, 7, 40):
        parser, early = TaggedParser(), []
        for at in range(0, len(WHOLE), size):
            early += parser.feed(WHOLE[at : at + size])
        assert parser.finish() == whole.notes or parser.finish() == whole.finish()
        assert len(early) == 6  # the seventh is complete at the end only


def test_stages_may_refer_to_each_other() -> None:
    at = WHOLE.index("@misconception")
    parts = [(WHOLE[:at], "stop"), (WHOLE[at:], "stop")]
    graph, repairs = parse(parts)
    assert repairs == {} and graph == parse(WHOLE)[0]


def test_json_whole_and_damaged() -> None:
    nodes = [
        {"id": "s1", "type": "Step", "parent": "p", "content": "36", "alternatives": ["35"]},
        {"id": "m1", "kind": "mistake", "parents": ["s1"], "text": "45"},
        {"id": "e1", "kind": "error analysis", "parents": ["m1"], "text": 'fewer, "not" more'},
        {"id": "a1", "kind": "answer", "text": 27},
    ]
    text = json.dumps({"nodes": nodes, "edges": [{"from": "s1", "to": "a1", "rel": "next"}]})
    graph, repairs = parse(f"```json\n{text}\n```")
    assert repairs == {"P01": 1} and validate(graph) == []
    assert parents(graph) == {"s1": ["p"], "m1": ["s1"], "e1": ["m1"], "a1": ["s1"]}
    graph, repairs = parse(text[: text.index('"e1"')])
    assert repairs == {"P14": 1} and [n.id for n in graph.nodes] == ["p", "s1", "m1"]


def test_nothing_in_it() -> None:
    for text in ("", "I cannot help with that.", "{}", "[1, 2]", "null", "@", "@@@ < <"):
        found = parse_notes(text, problem=PROBLEM, graph_id="g")
        assert found.graph is None and found.notes in (0, 1)


def test_headers() -> None:
    assert header("the answer is 27.") is None
    assert header("step by step we go on") is None
    assert header("so: it follows") is None
    note = header("@step s1 < t1, c2 | uses s0: 3 * 12 = 36")
    assert (note.id, note.parents, note.uses, note.text) == (
        "s1",
        ["t1", "c2"],
        ["s0"],
        "3 * 12 = 36",
    )
    assert header("@answer: 27").text == "27"


def test_the_prompts_examples_are_what_they_ask_for() -> None:
    from collegium.graphs.prompts import _JSON_NOTES, _NOTES
    from collegium.graphs.prompts import _PROBLEM as SHOWN

    answer = Answer(value="27", checker="numeric")
    parts = [(_NOTES[stage], "stop") for stage in STAGES]
    found = parse_notes(parts, problem=SHOWN, graph_id="g", answer=answer)
    assert {k for k, n in found.repairs.items() if n} == {"P12"}
    assert validate(found.graph, BELUGA) == []
    found = parse_notes(_JSON_NOTES, problem=SHOWN, graph_id="g", answer=answer)
    assert not +found.repairs and validate(found.graph) == []


def test_prompts_hold_problem_notes_and_gold() -> None:
    prompts = GraphPrompts()
    text = prompts.prompt(PROBLEM, "steps", ["@strategy t1 < p\nCount."], gold="27")
    assert text.endswith(
        f"Problem: {PROBLEM}\nAnswer: 27\nNotes so far:\n@strategy t1 < p\nCount.\n"
    )
    assert "Answer" not in prompts.prompt(PROBLEM, "strategies").split("Problem:")[-1]
    assert '{"nodes"' in GraphPrompts(form="json", stages=("all",)).prompt(PROBLEM, "all")
