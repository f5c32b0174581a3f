"""Graphs woven from sampled chains of thought."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.example import Example, Rationale
from collegium.graphs import Answer, Policy, Structure, ThoughtGraph, repair, validate
from collegium.graphs.chains import Chain, chains_graph, step_key
from collegium.graphs.select import right_paths
from collegium.graphs.steps import steps
from collegium.tasks import open_task
from collegium.teachers.graphs import with_sampled_graph

PROBLEM = "Lea buys 3 boxes of 12 pencils and gives 9 away. How many has she?"
ANSWER = Answer(value="27", checker="numeric")
CHAINS = [
    Chain("First 3 * 12 = 36 pencils. Then 36 - 9 = 27.", "27", True),
    Chain("There are 3 x 12 = <<3*12=36>>36. She keeps 36 - 9 = 27.0 pencils.", "27", True),
    Chain("Two boxes hold 24. One more box less 9 adds 3. So 24 + 3 = 27.", "27", True),
    Chain("3 * 12 = 38. 38 - 9 = 29.", "29", False),
    Chain("3 * 12 = 36. 36 + 9 = 45.", "45", False),
    Chain("I do not know.", None, None),
]


def woven(chains, **options):
    return chains_graph(
        PROBLEM, chains, graph_id="g", conclusion="The answer is 27.", answer=ANSWER, **options
    )


def test_equal_steps_are_one_node() -> None:
    assert step_key("So 3 x 12 = 36 pencils") == step_key("3 * 12 = <<3*12=36>>36.0 in all")
    assert step_key("3 + 12 = 15") != step_key("3 * 12 = 36")
    assert step_key("Two boxes hold 24.") == step_key("two boxes HOLD 24")
    found = woven(CHAINS)
    assert validate(found.graph) == []
    assert len(right_paths(found.graph)) == 2
    assert found.counts == {
        "right": 3,
        "wrong": 2,
        "without an answer": 1,
        "steps": 7,
        "merged": 2,
        "misconceptions": 2,
    }


def test_wrong_chains_become_misconceptions_where_they_leave() -> None:
    graph = woven(CHAINS).graph
    wrong = {n.text: n.id for n in graph.nodes if n.kind == "misconception"}
    assert set(wrong) == {"3 * 12 = 38.", "36 + 9 = 45."}
    parent = {e.dst: e.src for e in graph.edges if e.kind == "error"}
    assert parent[wrong["3 * 12 = 38."]] == "p"
    assert graph.node(parent[wrong["36 + 9 = 45."]]).text == "First 3 * 12 = 36 pencils."
    reasons = [n.text for n in graph.nodes if n.kind == "error_analysis"]
    assert reasons == [
        "3 * 12 is 36, not 38.",
        "This way leads to 45, but the answer is 27.",
    ]
    assert "Then 36 - 9 = 27." in [n.text for n in graph.nodes if n.kind == "correction"]


def test_states_come_together_again() -> None:
    chains = [
        Chain("2 + 2 = 4. 3 + 3 = 6. 4 + 6 = 10.", "10", True),
        Chain("3 + 3 = 6. 2 + 2 = 4. 4 + 6 = 10.", "10", True),
    ]
    tree = chains_graph("p", chains, graph_id="g", merge="prefix").graph
    dag = chains_graph("p", chains, graph_id="g", merge="state").graph
    assert (len(tree.nodes), len(dag.nodes)) == (9, 7)
    assert Structure(dag).path_counts()[-1] == 2 or len(right_paths(dag)) == 2
    assert validate(dag) == [] == validate(tree)


def test_nothing_right_makes_no_graph() -> None:
    assert woven(CHAINS[3:]).graph is None
    undecided = [Chain("2 + 2 = 4.", "4", None)]
    graph = chains_graph("p", undecided, graph_id="g").graph
    assert graph.nodes[-1].text == "4" and graph.nodes[-1].correct is None


def test_a_teachers_samples_carry_one_graph() -> None:
    task = open_task("wordproblems")
    story = "Max has 6 eggs . gives 2 . buys 3 . how many eggs ?"
    example = Example(id="q", task=task.name, split="train", question=story, answer="7")
    texts = [("6 + 2 = 8 ; 8 + 3 = 11 ;", "11"), ("6 - 2 = 4 ; 4 + 3 = 7 ;", "7")]
    entries = [
        Rationale(teacher="t", sample=i, text=text, answer=said, parsed=True, prompt_hash="")
        for i, (text, said) in enumerate(texts)
    ]
    first, second = with_sampled_graph(example, entries, task, policy=Policy())
    assert first.graph is None and second.graph is not None
    graph = ThoughtGraph.from_json(second.graph)
    assert [n.text for n in graph.nodes if n.wrong] == ["6 + 2 = 8 ;"]
    assert [n.text for n in graph.nodes if n.kind == "answer"] == ["answer 7"]


pieces = st.sampled_from(["1 + 1 = 2.", "2 + 2 = 4.", "Go on.", "2 + 2 = 5.", "3.5 kg"])
chains = st.builds(
    Chain,
    text=st.lists(pieces, max_size=5).map(" ".join) | st.text(max_size=20),
    answer=st.none() | st.just("27"),
    correct=st.none() | st.booleans(),
)


@given(st.lists(chains, max_size=6), st.sampled_from(["prefix", "state"]))
@settings(max_examples=60)
def test_any_chains_make_a_sound_graph(given_chains, merge) -> None:
    found = chains_graph(
        "p ?", given_chains, graph_id="g", conclusion="27", answer=ANSWER, merge=merge
    )
    if found.graph is None:
        return
    structure = Structure(found.graph)
    assert structure.order is not None and structure.roots == [0]
    outcome = repair(found.graph, Policy(min_paths=0))
    assert outcome.graph is not None, outcome.problems
    if merge == "prefix" and all(c.correct for c in given_chains):
        texts = {tuple(map(step_key, steps(c.text))) for c in given_chains if c.answer}
        assert len(list(structure.paths())) == len(texts)
