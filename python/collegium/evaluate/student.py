"""`Student`: a trained checkpoint that answers questions and explains its answers.

No teacher takes part: the checkpoint directory is all that is read, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collegium.errors import ArgumentError, CheckpointError
from collegium.evaluate.info import StudentInfo, read_student_info, write_student_info
from collegium.evaluate.loading import load_model
from collegium.evaluate.predict import Generated, Progress, generate
from collegium.evaluate.prediction import Prediction
from collegium.example import Example
from collegium.objectives.formats import LABEL, RATIONALE_PREFIX, teacher_of
from collegium.objectives.prompts import SpecialIds, encode_prompts
from collegium.registry import lookup, nearest
from collegium.tasks import TASKS
from collegium.tasks.base import Task
from collegium.validation import validate

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from collegium.tokenizer import Tokenizer

__all__ = ["Prediction", "Student", "StudentInfo", "write_student_info"]

Questions = Sequence[Example] | Sequence[str]
"""Examples, or texts as the student reads them (`Task.input_text`), without a task marker."""


class Student:
    """A language model together with the way in which it was taught to be asked.

    Args:
        model: a causal or sequence-to-sequence language model.
        tokenizer: turns generated ids into text.
        encoder: turns prompts into ids; the tokenizer that encoded the training data.
        info: how the student was taught.
        task: reads questions and answers.
        special: ids that start, end and pad a text.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        encoder: Tokenizer,
        info: StudentInfo,
        task: Task,
        special: SpecialIds,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.info = info
        self.task = task
        self.special = special

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        *,
        task: Task | None = None,
        device: str | torch.device | None = None,
        dtype: str | None = None,
    ) -> Student:
        """Load a checkpoint directory that a run has written.

        Args:
            checkpoint: a `from_pretrained` directory with `collegium.json`.
            task: default: the one named there, with its options and without its data.
            device: default: the CUDA device where there is one, else the CPU.
            dtype: of the weights, e.g. ``"bfloat16"``; default: as saved, as transformers does.

        Raises:
            CheckpointError: it was not made by collegium, is incomplete or damaged, or was made
                by an incompatible release.
        """
        from collegium.tokenizer import Tokenizer

        folder = Path(checkpoint)
        info = read_student_info(folder)
        if task is None:
            kind = lookup(TASKS, info.task, f"task in {folder / 'collegium.json'}", CheckpointError)
            try:
                options = validate(kind.Options, info.task_options, "task_options")
            except ValueError as error:
                raise CheckpointError(f"{folder / 'collegium.json'}: {error}") from None
            task = kind(None, options)
        model, spec = load_model(folder, device=device, dtype=dtype)
        if spec.kind != info.kind:
            raise CheckpointError(
                f"checkpoint {folder}: collegium.json says {info.kind}, config.json {spec.kind}; "
                "the files do not belong together"
            )
        encoder = Tokenizer.from_pretrained(str(folder))
        if info.tokenizer is not None and info.tokenizer != encoder.fingerprint:
            raise CheckpointError(
                f"checkpoint {folder}: tokenizer.json is not the one that the student was saved "
                f"with (fingerprint {encoder.fingerprint}, expected {info.tokenizer}); restore it"
            )
        return cls(model, spec.tokenizer, encoder, info, task, spec.special)

    def with_task(self, task: Task) -> Student:
        """Return the same student with another task reading its questions and answers."""
        return Student(self.model, self.tokenizer, self.encoder, self.info, task, self.special)

    @property
    def parameters(self) -> int:
        """Number of weights, tied ones counted once."""
        return sum(p.numel() for p in self.model.parameters())

    def predict(
        self,
        questions: Questions,
        *,
        batch_size: int = 64,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> list[Prediction]:
        """Answer directly, without writing a rationale.

        Args:
            questions: examples, or texts as the student reads them.
            batch_size: questions answered together.
            max_new_tokens: default: the longest target of the training.
            progress: called with (done, total).

        Raises:
            ArgumentError: the student was not taught labels.
        """
        return self.answer(
            questions,
            LABEL,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            progress=progress,
        )

    def explain(
        self,
        questions: Questions,
        teacher: str | None = None,
        *,
        batch_size: int = 64,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> list[Prediction]:
        """Write a rationale in a teacher's way, and read the answer from it where it has one.

        Args:
            questions: as in `predict`.
            teacher: default: the first of those whose rationales were learnt.
            batch_size: as in `predict`.
            max_new_tokens: as in `predict`.
            progress: as in `predict`.

        Raises:
            ArgumentError: the student learnt no rationales, or none of this teacher.
        """
        if teacher is None:
            if not self.info.teachers:
                raise ArgumentError(
                    "this student learnt no rationales, so it cannot explain; it was trained on: "
                    + ", ".join(self.info.objectives)
                )
            teacher = self.info.teachers[0]
        return self.answer(
            questions,
            f"{RATIONALE_PREFIX}{teacher}",
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            progress=progress,
        )

    def answer(
        self,
        questions: Questions,
        objective: str,
        *,
        batch_size: int = 64,
        max_new_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> list[Prediction]:
        """Answer in the way of one objective: ``label`` or ``rationale:<teacher>``.

        Raises:
            ArgumentError: the student was not trained on `objective`.
        """
        prompts, cut = self.encode(questions, objective)
        found = generate(
            self.model,
            prompts,
            self.special,
            kind=self.info.kind,
            max_new_tokens=max_new_tokens or self.info.max_target_tokens,
            batch_size=batch_size,
            progress=progress,
        )
        texts = self.tokenizer.batch_decode([g.ids for g in found], skip_special_tokens=True)
        return [
            self._prediction(index, question, objective, text, generated, truncated)
            for index, (question, text, generated, truncated) in enumerate(
                zip(questions, texts, found, cut, strict=True)
            )
        ]

    def prompt(self, question: Example | str, objective: str = LABEL) -> str:
        """Return the text that the student reads, its task marker included."""
        self._known(objective)
        return self.info.format.prompt(objective, self._text(question), self.info.kind)

    def encode(self, questions: Questions, objective: str) -> tuple[list[list[int]], list[bool]]:
        """Return the prompts' ids, the same as in training, and which questions were cut."""
        self._known(objective)
        if isinstance(questions, str | Example):
            raise ArgumentError("questions: expected a list, found a single question")
        return encode_prompts(
            [self._text(question) for question in questions],
            objective,
            self.info.format,
            self.encoder,
            self.special,
            kind=self.info.kind,
            max_prompt_tokens=self.info.max_prompt_tokens,
        )

    def _text(self, question: Example | str) -> str:
        return question if isinstance(question, str) else self.task.input_text(question)

    def _known(self, objective: str) -> None:
        if objective not in self.info.objectives:
            raise ArgumentError(
                f"this student was not trained on {objective!r}."
                f"{nearest(objective, self.info.objectives)} "
                f"Trained on: {', '.join(self.info.objectives)}"
            )

    def _prediction(
        self,
        index: int,
        question: Example | str,
        objective: str,
        text: str,
        generated: Generated,
        truncated: bool,
    ) -> Prediction:
        example = question if isinstance(question, Example) else None
        rationale: str | None = None
        if teacher_of(objective) is None:
            answer = self.task.parse_label(text) or None
            parsed = answer is not None
        else:
            taken = self.task.parse(text, example)
            rationale, answer, parsed = taken.rationale, taken.answer, taken.parsed
        gold = example.answer if example is not None else None
        return Prediction(
            id=example.id if example is not None else str(index),
            mode=objective,
            raw=text,
            rationale=rationale,
            answer=answer,
            parsed=parsed,
            tokens=len(generated.ids) + generated.finished,
            finished=generated.finished,
            truncated=truncated,
            gold=gold,
            correct=None if example is None or gold is None else self.task.check(answer, example),
        )
