"""What a teacher is asked for when it is to write a thought graph.

Not one large JSON object, which weak teachers break, but tagged lines: a header ``@kind id <
parents`` (``| uses ids`` for premises), the thought's text below it, and lines ``why:``, ``alt:``
(an alternative ``-- why not``) and ``so:`` (what it contributes). Asked for in stages, each shown
what was written before, or all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["tagged", "json"]
Stage = Literal["all", "strategies", "steps", "mistakes", "evaluation"]

STAGES: tuple[Stage, ...] = ("strategies", "steps", "mistakes", "evaluation")

_FORMAT = """\
Notes on a problem are written in this form. Each note starts with a line
@kind id < parent
where kind is one of strategy, step, monitor, misconception, error_analysis, correction, \
evaluation, answer, id is a new short name, and parent is the id of the note it follows (p is the \
problem). Below it stands the note in one or two sentences. Then, where it makes sense:
why: the reason for it
alt: something else that could be done -- why it is not done
so: what it contributes"""

_TASKS: dict[Stage, str] = {
    "all": (
        "Write all notes: two different strategies, the steps of each with at least one monitor "
        "note that checks the progress, an evaluation that tests the result, the answer of each "
        "strategy, and two mistakes that pupils make, each as misconception, error_analysis and "
        "correction."
    ),
    "strategies": (
        "Write only two @strategy notes: two different ways to solve the problem, with why: and "
        "alt: lines. Do not work out the result."
    ),
    "steps": (
        "Write only the @step notes of each strategy, with why: and so: lines, one @monitor note "
        "on the way that checks the progress, and an @answer note at the end of each strategy."
    ),
    "mistakes": (
        "Write only two mistakes that pupils make here, each as three notes: @misconception (the "
        "wrong step), @error_analysis (why it is wrong) and @correction (what is right)."
    ),
    "evaluation": (
        "Write only one @evaluation note for each answer: test the result in another way, for "
        "example by estimating or by working backwards."
    ),
}

_PROBLEM = (
    "A box holds 12 pencils. Lea buys 3 boxes and gives 9 pencils away. How many pencils has she?"
)
_NOTES: dict[Stage, str] = {
    "strategies": """\
@strategy t1 < p
Count all pencils first, then take away what is given.
why: the story tells it in this order
alt: subtract first -- the 9 pencils do not fit one box only
@strategy t2 < p
Take full boxes and correct what is missing.
why: 9 pencils are nearly one box of 12
alt: count single pencils -- too slow""",
    "steps": """\
@step s1 < t1
3 boxes of 12 pencils are 3 * 12 = 36 pencils.
why: every box holds the same number
so: the number of pencils before any is given away
@monitor c1 < s1
All boxes are counted. The 9 pencils are still to be taken away.
@step s2 < c1
She gives 9 away: 36 - 9 = 27.
why: giving away makes it fewer
so: the number that is left
@answer a1 < s2
27
@step s3 < t2
Giving away a whole box would leave 2 * 12 = 24 pencils.
why: 12 is easy to take away
so: a result that is too small by 12 - 9 = 3
@step s4 < s3
She keeps 3 more: 24 + 3 = 27.
why: only 9 of the 12 pencils are given away
so: the number that is left
@answer a2 < s4
27""",
    "mistakes": """\
@misconception m1 < t1
3 + 12 = 15 pencils are in the boxes.
@error_analysis e1 < m1
The numbers are added, but each of the 3 boxes holds 12 pencils, so they are multiplied.
@correction k1 < e1
3 * 12 = 36 pencils.
@misconception m2 < s1
36 + 9 = 45 pencils are left.
@error_analysis e2 < m2
Giving away makes the number smaller, not larger.
@correction k2 < e2
36 - 9 = 27 pencils.""",
    "evaluation": """\
@evaluation v1 < a1
Backwards: 27 + 9 = 36, and 36 / 3 = 12 is what a box holds. It fits.
@evaluation v2 < a2
27 is a bit more than two boxes (24), as it should be.""",
}
_JSON_FORMAT = """\
Notes on a problem are written as a JSON object {"nodes": [...]}. Each node has "id", "kind" (one \
of strategy, step, monitor, misconception, error_analysis, correction, evaluation, answer), \
"parents" (ids of the notes it follows; "p" is the problem) and "text", and where it makes sense \
"why", "alternatives" (a list of {"option", "reason_rejected"}) and "contributes"."""
_JSON_NOTES = """\
{"nodes": [
{"id": "t1", "kind": "strategy", "parents": ["p"], "text": "Count all first, then take away.", \
"why": "the story tells it so", "alternatives": [{"option": "subtract first", \
"reason_rejected": "9 do not fit one box"}]},
{"id": "s1", "kind": "step", "parents": ["t1"], "text": "3 * 12 = 36 pencils.", "why": "equal \
boxes", "contributes": "all pencils"},
{"id": "m1", "kind": "misconception", "parents": ["t1"], "text": "3 + 12 = 15 pencils."},
{"id": "e1", "kind": "error_analysis", "parents": ["m1"], "text": "Boxes hold 12 each: multiply."},
{"id": "c1", "kind": "monitor", "parents": ["s1"], "text": "The 9 are still to be taken away."},
{"id": "s2", "kind": "step", "parents": ["c1"], "text": "36 - 9 = 27.", "why": "fewer", \
"contributes": "what is left"},
{"id": "v1", "kind": "evaluation", "parents": ["s2"], "text": "27 + 9 = 36. It fits."},
{"id": "a1", "kind": "answer", "parents": ["v1"], "text": "27"}
]}"""


@dataclass(frozen=True)
class GraphPrompts:
    """The prompts of one form; `stages` are asked for one after another."""

    form: Form = "tagged"
    stages: tuple[Stage, ...] = STAGES

    def prompt(
        self, problem: str, stage: Stage, so_far: Sequence[str] = (), *, gold: str | None = None
    ) -> str:
        """Return the text of one request.

        Args:
            problem: the question as the student reads it.
            stage: what is asked for.
            so_far: the notes of earlier stages, as their texts came.
            gold: the known answer, for teacher forcing.
        """
        json = self.form == "json"
        shown = _JSON_NOTES if json else _shown(stage)
        known = f"\nAnswer: {gold}" if gold is not None else ""
        before = "\n".join(text.strip() for text in so_far if text.strip())
        parts = [
            _JSON_FORMAT if json else _FORMAT,
            f"Example.\nProblem: {_PROBLEM}\n{shown}",
            f"{_TASKS[stage]} Use the same form as the example; write nothing else.",
            f"Problem: {problem}{known}" + (f"\nNotes so far:\n{before}" if before else ""),
        ]
        return "\n\n".join(parts) + "\n"


def _shown(stage: Stage) -> str:
    if stage == "all":
        return "\n".join(_NOTES[s] for s in ("strategies", "steps", "mistakes", "evaluation"))
    before = STAGES[: STAGES.index(stage)]
    notes = "\n".join(_NOTES[s] for s in before)
    return (f"Notes so far:\n{notes}\n\n" if notes else "") + f"Notes:\n{_NOTES[stage]}"
