"""`RunResults`: the machine-readable results of a run, which tables and pages are made of.

Whoever runs arms and seeds fills one `RunResults`; accuracies are shares (0 .. 1), times seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collegium.atomic import atomic_path
from collegium.errors import ArgumentError, RunError
from collegium.validation import explain

VERSION = 1


class _Part(BaseModel):
    # A loss may be infinite or no number; JSON keeps it as such.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class ModeResult(_Part):
    """One way of answering: ``label``, ``rationale:<teacher>``, or ``rationale`` (pooled)."""

    accuracy: float | None
    """None where no gold answer is known."""
    low: float | None = None
    high: float | None = None
    """Bootstrap interval over the questions."""
    n: int = 0
    """Questions measured."""
    parsed: float | None = None
    """Share of generations in which an answer was found."""
    tokens: int = 0
    """Generated tokens, all questions together."""
    mean_tokens: float | None = None
    seconds: float = 0.0
    same_as_label: float | None = None
    """Share of questions on which this mode and the direct label give the same answer."""


class ArmRun(_Part):
    """One arm with one seed."""

    arm: str
    seed: int
    modes: dict[str, ModeResult]
    steps: int | None = None
    """Optimizer steps."""
    tokens: int | None = None
    """Tokens that went through the student in training, all epochs together."""
    seconds: float | None = None
    """Of training."""
    parameters: int | None = None
    curve: list[dict[str, float]] = []
    """Log entries: ``step`` and any of ``loss``, ``eval_loss``, ... (a trainer's log history)."""


class TeacherResult(_Part):
    """A teacher, and how good it is itself where that was measured."""

    name: str
    kind: str
    note: str = ""
    """What a reader must know to compare, such as how many labels it has seen."""
    licence: str | None = None
    parameters: int | None = None
    seconds: float | None = None
    modes: dict[str, ModeResult] = {}


class CleaningCount(_Part):
    """What became of the rationales of one teacher in training."""

    teacher: str
    came: int
    removed: dict[str, int] = {}
    """Reason to number."""
    arms: list[str] = []
    """The arms that this holds for; empty: all of them."""

    @property
    def kept(self) -> int:
        """Rationales that stayed."""
        return self.came - sum(self.removed.values())


class Baseline(_Part):
    """What a rule without a model reaches, such as always giving the most frequent answer."""

    name: str
    accuracy: float
    mode: str = "label"


class Comparison(_Part):
    """Two arms on the same questions: mean of `arm` minus `against`, with its interval."""

    arm: str
    against: str
    mode: str
    difference: float
    low: float
    high: float
    p_value: float
    n: int
    level: float = 0.95


class CaseAnswer(_Part):
    """One arm's answer to a case."""

    arm: str
    mode: str
    seed: int = 0
    answer: str | None = None
    rationale: str | None = None
    correct: bool | None = None


class Case(_Part):
    """One question with what every arm answered."""

    id: str
    question: str
    choices: list[str] | None = None
    gold: str | None = None
    answers: list[CaseAnswer] = []


class RunResults(_Part):
    """Everything that a report shows."""

    v: Literal[1] = VERSION
    title: str
    recipe: str
    task: str
    description: str = ""
    runs: list[ArmRun] = Field(min_length=1)
    arms: dict[str, dict[str, Any]] = {}
    """Arm to the settings in which it differs."""
    settings: dict[str, Any] = {}
    """What all arms share."""
    teachers: list[TeacherResult] = []
    baselines: list[Baseline] = []
    comparisons: list[Comparison] = []
    cleaning: list[CleaningCount] = []
    cases: list[Case] = []
    notes: list[str] = []
    """Sentences that stand below the table."""
    provenance: dict[str, Any] = {}
    """Where the numbers come from: versions, machine, data, digests, times."""

    def arm_names(self) -> list[str]:
        """Return the arms in the order of their first run."""
        return list(dict.fromkeys(run.arm for run in self.runs))

    def mode_names(self) -> list[str]:
        """Return the modes that any run has: label, each teacher, then all of them pooled."""
        found = dict.fromkeys(mode for run in self.runs for mode in run.modes)
        return sorted(found, key=lambda m: (m != "label", m == "rationale"))

    def save(self, path: Path) -> None:
        """Write JSON, atomically."""
        text = self.model_dump_json(indent=1)
        with atomic_path(path) as partial:
            partial.write_text(text + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> RunResults:
        """Read what `save` wrote.

        Raises:
            RunError: the file is missing, damaged, or of another version.
        """
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path}: no results there; has the run finished?") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: cannot be read ({error})") from None
        except ValidationError as error:
            raise RunError(
                f"{path}: not the results of a run, or those of another release: "
                f"{explain(error, cls)}"
            ) from None


def modes_from_metrics(metrics: Mapping[str, Any]) -> dict[str, ModeResult]:
    """Return the modes of an evaluation's metrics, its label-rationale consistency joined in."""
    same = metrics.get("consistency", {})
    fields = set(ModeResult.model_fields)
    return {
        mode: ModeResult(
            **{key: value for key, value in found.items() if key in fields},
            same_as_label=same.get(mode, {}).get("same"),
        )
        for mode, found in metrics["modes"].items()
    }


def merge(results: Sequence[RunResults]) -> RunResults:
    """Return the results of several runs as one.

    Arms keep their names where that is clear; where recipes or tasks differ, or two runs share an
    arm and a seed, the recipe's name (numbered if need be) stands before each arm's.

    Raises:
        ArgumentError: no results.
    """
    if not results:
        raise ArgumentError("merge: expected the results of at least one run")
    if len(results) == 1:
        return results[0]
    keys = [(run.arm, run.seed) for r in results for run in r.runs]
    plain = len({(r.recipe, r.task) for r in results}) == 1 and len(set(keys)) == len(keys)
    plain = plain and all(_same_settings(results[0], other) for other in results[1:])
    parts = list(results) if plain else _prefixed(results)
    tasks = list(dict.fromkeys(r.task for r in results))
    first = parts[0]
    notes = list(dict.fromkeys(note for r in parts for note in r.notes))
    if len(tasks) > 1:
        notes.insert(0, f"The runs have different tasks ({', '.join(tasks)}): accuracies compare "
                        "within a run only.")  # fmt: skip
    return RunResults(
        title=" + ".join(dict.fromkeys(r.title for r in results)),
        recipe=" + ".join(dict.fromkeys(r.recipe for r in results)),
        task=", ".join(tasks),
        description="\n".join(dict.fromkeys(r.description for r in results if r.description)),
        runs=[run for r in parts for run in r.runs],
        arms={arm: settings for r in parts for arm, settings in r.arms.items()},
        settings=first.settings
        if plain
        else {name: r.settings for name, r in zip(_names(results), parts, strict=True)},
        teachers=_unique(t for r in parts for t in r.teachers),
        baselines=_unique(b for r in parts for b in r.baselines),
        comparisons=_unique(c for r in parts for c in r.comparisons),
        cleaning=_unique(c for r in parts for c in r.cleaning),
        cases=[case for r in parts for case in r.cases],
        notes=notes,
        provenance={name: r.provenance for name, r in zip(_names(results), parts, strict=True)},
    )


def _same_settings(first: RunResults, other: RunResults) -> bool:
    return first.settings == other.settings and all(
        first.arms[arm] == other.arms[arm] for arm in first.arms.keys() & other.arms.keys()
    )


def _names(results: Sequence[RunResults]) -> list[str]:
    recipes = [r.recipe for r in results]
    if len(set(recipes)) == len(recipes):
        return recipes
    return [f"{recipe} {index}" for index, recipe in enumerate(recipes, 1)]


def _prefixed(results: Sequence[RunResults]) -> list[RunResults]:
    out = []
    for name, result in zip(_names(results), results, strict=True):

        def own(arm: str, name: str = name, recipe: str = result.recipe) -> str:
            return name if arm == recipe else f"{name}: {arm}"

        copy = result.model_copy(deep=True)
        for part in (*copy.runs, *copy.comparisons, *(a for c in copy.cases for a in c.answers)):
            part.arm = own(part.arm)
        for comparison in copy.comparisons:
            comparison.against = own(comparison.against)
        for count in copy.cleaning:
            count.arms = [own(arm) for arm in count.arms or result.arm_names()]
        for part in (*copy.teachers, *copy.baselines):
            part.name = f"{name}: {part.name}"
        copy.arms = {own(arm): settings for arm, settings in copy.arms.items()}
        out.append(copy)
    return out


def _unique(parts: Any) -> list[Any]:
    out: list[Any] = []
    for part in parts:
        if part not in out:
            out.append(part)
    return out
