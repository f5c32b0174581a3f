"""Asking a text teacher for thought graphs: prompts out, notes in, graphs repaired by a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from collegium.example import Example, Rationale
from collegium.graphs.answers import Agrees, numbers
from collegium.graphs.chains import Chain, chains_graph
from collegium.graphs.graph import Answer, Source, ThoughtGraph
from collegium.graphs.linear import best_path
from collegium.graphs.policy import Policy
from collegium.graphs.prompts import GraphPrompts, Stage
from collegium.graphs.repair import repair
from collegium.graphs.tagged import parse_notes
from collegium.tasks.base import Task
from collegium.teachers.base import prompt_hash

GraphForm = Literal["staged", "tagged", "json"]
"""Tagged lines in stages, tagged lines at once, JSON at once."""
GraphSource = Literal["staged", "tagged", "json", "samples"]
"""One of these forms, or a graph woven from a teacher's sampled rationales."""

PROMPTS: Mapping[GraphForm, GraphPrompts] = {
    "staged": GraphPrompts(),
    "tagged": GraphPrompts(stages=("all",)),
    "json": GraphPrompts(form="json", stages=("all",)),
}


@dataclass(frozen=True)
class Completion:
    """What a teacher wrote to one prompt; `whole` is false where it ran into its limit."""

    text: str
    whole: bool
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


Ask = Callable[[Sequence[tuple[Example, int]], Sequence[str], Stage], Sequence[Completion]]
"""Asks for completions: questions and samples, their prompts, the stage."""


def ask_for_graphs(
    jobs: Sequence[tuple[Example, int]],
    ask: Ask,
    form: GraphForm,
    task: Task,
    teacher: str,
    *,
    policy: Policy,
    forced_gold: bool = False,
    licence: str | None = None,
) -> list[Rationale]:
    """Return one rationale a job, with a graph where the teacher wrote one that can be used.

    All jobs go through each stage together. The rationale's text is the graph's best path, its
    answer that path's; without a usable graph the raw notes, not parsed.
    """
    prompts = PROMPTS[form]
    told: list[list[Completion]] = [[] for _ in jobs]
    asked: list[list[str]] = [[] for _ in jobs]
    for stage in prompts.stages:
        texts = [
            prompts.prompt(
                task.input_text(example),
                stage,
                [c.text for c in said],
                gold=example.answer if forced_gold else None,
            )
            for (example, _), said in zip(jobs, told, strict=True)
        ]
        for said, sent, prompt, completion in zip(
            told, asked, texts, ask(jobs, texts, stage), strict=True
        ):
            said.append(completion)
            sent.append(prompt)
    return [
        _rationale(example, sample, said, sent[0], task, teacher, policy, forced_gold, licence)
        for (example, sample), said, sent in zip(jobs, told, asked, strict=True)
    ]


def read_graph(
    example: Example,
    parts: Sequence[tuple[str, bool]],
    task: Task,
    *,
    teacher: str,
    policy: Policy,
    graph_id: str | None = None,
    prompt: str = "",
    licence: str | None = None,
) -> ThoughtGraph | None:
    """Read a teacher's notes into a sound graph; None where they hold none.

    `parts` are the texts of the stages and whether each is whole. What was set right is counted
    in ``graph.teacher.repairs``. Answers take the task's own form (`Task.conclusion`).
    """
    found = parse_notes(
        [(text, "stop" if whole else "length") for text, whole in parts],
        problem=task.input_text(example),
        graph_id=graph_id or example.id,
        license=licence,
    )
    if found.graph is None:
        return None
    value = example.answer
    known = None
    if value is not None:
        numeric = numbers(value) == [value.strip()]
        known = Answer(value=value, checker="numeric" if numeric else "none")
    nodes = tuple(
        node.model_copy(update={"text": _concluded(node.text, example, task)})
        if node.kind == "answer"
        else node
        for node in found.graph.nodes
    )
    agrees = judge(task, example)
    nodes = tuple(
        node.model_copy(update={"correct": True})
        if node.kind == "answer" and agrees(node.text)
        else node
        for node in nodes
    )
    verified = any(node.correct for node in nodes if node.kind == "answer")
    if known is not None:
        known = known.model_copy(update={"verified": verified})
    graph = found.graph.model_copy(update={"nodes": nodes, "answer": known})
    mended = repair(graph, policy, agrees=agrees)
    if mended.graph is None:
        return None
    repairs = {code: n for code, n in sorted((found.repairs + mended.repairs).items()) if n}
    source = Source(
        model=teacher,
        prompt_hash=prompt_hash(prompt) if prompt else "",
        finish="stop" if all(whole for _, whole in parts) else "length",
        repairs=repairs,
    )
    return mended.graph.model_copy(update={"teacher": source})


def with_sampled_graph(
    example: Example, entries: Sequence[Rationale], task: Task, *, policy: Policy
) -> list[Rationale]:
    """Return a teacher's samples, the first right one with a graph woven from all of them.

    Without a gold answer all samples that state an answer count as undecided ways. A graph that
    the policy rejects is left out.
    """
    gold = example.answer
    chains = [
        Chain(
            entry.text,
            entry.answer if entry.parsed else None,
            None if gold is None else task.check(entry.answer, example),
        )
        for entry in entries
    ]
    carrier = next((i for i, c in enumerate(chains) if c.answer is not None and c.correct), None)
    if carrier is None and gold is None:
        carrier = next((i for i, c in enumerate(chains) if c.answer is not None), None)
    if carrier is None:
        return list(entries)
    known = None
    if gold is not None:
        checker = "numeric" if numbers(gold) == [gold.strip()] else "none"
        known = Answer(value=gold, checker=checker, verified=True)
    woven = chains_graph(
        task.input_text(example),
        chains,
        graph_id=f"{example.id}/{entries[carrier].teacher}",
        conclusion=task.conclusion(gold if gold is not None else str(chains[carrier].answer)),
        answer=known,
        source=Source(model=entries[carrier].teacher),
        license=entries[carrier].licence,
    )
    if woven.graph is None:
        return list(entries)
    mended = repair(woven.graph, policy, agrees=judge(task, example))
    if mended.graph is None:
        return list(entries)
    source = Source(model=entries[carrier].teacher, repairs=dict(sorted(mended.repairs.items())))
    text = mended.graph.model_copy(update={"teacher": source}).to_json()
    out = list(entries)
    out[carrier] = out[carrier].model_copy(update={"graph": text})
    return out


def judge(task: Task, example: Example) -> Agrees:
    """Return whether an answer node's text is right for the example, by the task's own checker."""
    if example.answer is None:
        return lambda text: None

    def agrees(text: str) -> bool:
        return any(
            task.check(answer, example) for answer in _answers(text, example, task) if answer
        )

    return agrees


def _answers(text: str, example: Example, task: Task) -> list[str | None]:
    """Return what a text may state as its answer, in the task's form or outside it."""
    found = numbers(text)
    shapes = [text, task.conclusion(text.strip()), *(task.conclusion(n) for n in found[-1:])]
    parsed = (task.parse(shape, example) for shape in shapes)
    return [p.answer for p in parsed if p.parsed]


def _concluded(text: str, example: Example, task: Task) -> str:
    answers = [a for a in _answers(text, example, task) if a]
    right = [a for a in answers if example.answer is not None and task.check(a, example)]
    chosen = (right or answers)[:1]
    return task.conclusion(chosen[0]) if chosen else text


def _rationale(
    example: Example,
    sample: int,
    said: Sequence[Completion],
    prompt: str,
    task: Task,
    teacher: str,
    policy: Policy,
    forced_gold: bool,
    licence: str | None,
) -> Rationale:
    graph = read_graph(
        example,
        [(c.text, c.whole) for c in said],
        task,
        teacher=teacher,
        policy=policy,
        graph_id=f"{example.id}/{teacher}/{sample}",
        prompt=prompt,
        licence=licence,
    )
    best = best_path(graph) if graph is not None else []
    parsed = task.parse(best[0].text(" "), example) if best else None
    counted = [c for c in said if c.prompt_tokens is not None]
    return Rationale(
        teacher=teacher,
        sample=sample,
        text=parsed.rationale if parsed else "\n".join(c.text for c in said).strip(),
        answer=parsed.answer if parsed else None,
        parsed=bool(parsed and parsed.parsed),
        gold_in_prompt=forced_gold,
        prompt_hash=prompt_hash(prompt),
        prompt_tokens=sum(c.prompt_tokens or 0 for c in counted) if counted else None,
        completion_tokens=sum(c.completion_tokens or 0 for c in counted) if counted else None,
        graph=graph.to_json() if graph is not None else None,
        licence=licence,
    )
