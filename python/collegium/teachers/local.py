"""`local`: a text teacher whose weights lie in a directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from collegium.digest import digest_path
from collegium.errors import RecipeError
from collegium.example import Example, Rationale
from collegium.graphs.policy import POLICIES
from collegium.tasks.base import Task
from collegium.tasks.parsing import cut
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash
from collegium.teachers.checkpoints import check_directory, load_checkpoint
from collegium.teachers.graphs import (
    PROMPTS,
    Completion,
    GraphForm,
    GraphSource,
    ask_for_graphs,
    with_sampled_graph,
)
from collegium.teachers.written import PromptTooLong, Written


class LocalConfig(TeacherConfig, frozen=True):
    """A checkpoint directory, or a model that a stage trains first."""

    kind: Literal["local"] = "local"
    checkpoint: str | None = None
    """Directory with config, safetensors weights and tokenizer."""
    train: dict[str, Any] | str | None = None
    """A recipe (or changes to this one) that trains the teacher first."""
    samples: int = Field(default=1, ge=1)
    """Rationales a question."""
    temperature: float = Field(default=0.0, ge=0)
    """0 = greedy."""
    max_new_tokens: int = Field(default=256, ge=1)
    batch_size: int = Field(default=8, ge=1)
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    trust_remote_code: bool = False
    """Run model code that the directory brings along."""
    forced_gold: bool = False
    """Show the teacher the gold answer and ask for the reasoning only (TinyLLM)."""
    chat: Literal["auto", "never"] = "auto"
    """Whether the prompt goes through the tokenizer's chat template where it has one."""
    seed: int = Field(default=0, ge=0)
    licence: str | None = None
    """Terms under which the texts may be used; carried along with each rationale."""
    graph: GraphSource | None = None
    """Thought graphs: asked for as tagged lines in stages or at once, or as JSON; `samples`: woven
    from the sampled rationales."""
    graph_policy: Literal["default", "beluga"] = "default"
    """What is demanded of a graph; one that falls short and cannot be mended is left out."""

    @model_validator(mode="after")
    def _consistent(self) -> LocalConfig:
        if (self.checkpoint is None) == (self.train is None):
            raise ValueError("give exactly one of checkpoint and train")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples above 1 are all the same at temperature 0; set temperature")
        if self.graph == "samples" and self.samples < 2:
            raise ValueError("graph: samples weaves several rationales; set samples to 2 or more")
        return self

    def sees_gold(self, name: str, task: Task) -> bool:
        """Return `forced_gold`."""
        return self.forced_gold


class LocalTeacher(Teacher):
    """Generates rationales with a few-shot prompt.

    Args:
        name: the teacher's name.
        config: its section.
        task: whose questions it answers.
        checkpoint: the model directory (of the section, or what a stage trained).
        device: where it runs; default: a GPU if there is one.
        prompt: builds the prompt of an example in place of the task's few-shot prompt, for a
            model that was trained on another form.
    """

    costly: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        config: LocalConfig,
        task: Task,
        checkpoint: Path,
        *,
        device: str | None = None,
        prompt: Callable[[Example], str] | None = None,
    ) -> None:
        super().__init__(name, task)
        self.config = config
        self.checkpoint = checkpoint
        self.device = device
        self.prompt = prompt
        self._loaded: tuple[Any, Any] | None = None
        check_directory(checkpoint, f"teacher {name!r}")

    def fingerprint(self) -> dict[str, object]:
        """Return configuration, contents of the checkpoint directory and the form of the prompt.

        The batch size is left out: neither greedy nor sampled texts depend on it, but for
        rounding.
        """
        kept = self.config.model_dump(exclude={"annotate", "batch_size", "checkpoint", "train"})
        probe = Example(id="probe", task=self.task.name, split="", question="?", answer="?")
        gold = probe.answer if self.config.forced_gold else None
        form = self.prompt(probe) if self.prompt else self.task.teacher_prompt(probe, gold=gold)
        if self._graph_form is not None:
            prompts = PROMPTS[self._graph_form]
            form = "\n".join(prompts.prompt("?", stage, gold=gold) for stage in prompts.stages)
        return {**kept, "checkpoint": digest_path(self.checkpoint), "form": prompt_hash(form)}

    def load(self) -> tuple[Any, Any]:
        """Return model and tokenizer, loaded once.

        Raises:
            CheckpointError: the directory cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = load_checkpoint(
                self.checkpoint,
                f"teacher {self.name!r}",
                dtype=self.config.dtype,
                trust_remote_code=self.config.trust_remote_code,
                device=self.device or _device(),
            )
        return self._loaded

    def annotate(self, examples: Sequence[Example]) -> list[list[Rationale]]:
        """Generate `samples` rationales for each example.

        With `forced_gold`, an example without a gold answer gets none.
        """
        out: list[list[Rationale]] = [[] for _ in examples]
        jobs = [
            (index, sample)
            for index, example in enumerate(examples)
            for sample in range(self.config.samples)
            if example.answer is not None or not self.config.forced_gold
        ]
        for start in range(0, len(jobs), self.config.batch_size):
            batch = jobs[start : start + self.config.batch_size]
            chosen = [(examples[index], sample) for index, sample in batch]
            graphs = self._graph_form
            made = self._generate(chosen) if graphs is None else self._graphs(chosen, graphs)
            for (index, _), rationale in zip(batch, made, strict=True):
                out[index].append(rationale)
        if self.config.graph != "samples":
            return out
        policy = POLICIES[self.config.graph_policy]
        return [
            with_sampled_graph(example, entries, self.task, policy=policy)
            for example, entries in zip(examples, out, strict=True)
        ]

    def graphs_due(self, rationales: Sequence[Rationale]) -> int:
        """Return one for each rationale, or one for a question where samples are woven."""
        if self.config.graph is None:
            return 0
        return min(1, len(rationales)) if self.config.graph == "samples" else len(rationales)

    @property
    def _graph_form(self) -> GraphForm | None:
        """The form in which the model is asked for graphs, None if for ordinary rationales."""
        return None if self.config.graph == "samples" else self.config.graph

    def _graphs(self, jobs: Sequence[tuple[Example, int]], form: GraphForm) -> list[Rationale]:
        return ask_for_graphs(
            jobs,
            self._ask,
            form,
            self.task,
            self.name,
            policy=POLICIES[self.config.graph_policy],
            forced_gold=self.config.forced_gold,
            licence=self.config.licence,
        )

    def _ask(
        self, jobs: Sequence[tuple[Example, int]], texts: Sequence[str], stage: str
    ) -> list[Completion]:
        _, tokenizer = self.load()
        prompts = [self._as_chat(text, tokenizer) for text in texts]
        seeds = [self._seed(example, sample, stage) for example, sample in jobs]
        found = self._complete(prompts, seeds, ())
        return [
            Completion(
                tokenizer.decode(written.ids, skip_special_tokens=True),
                whole=written.ended,
                prompt_tokens=written.prompt_tokens,
                completion_tokens=written.tokens,
            )
            for written in found
        ]

    def _generate(self, jobs: Sequence[tuple[Example, int]]) -> list[Rationale]:
        _, tokenizer = self.load()
        prompts = [self._prompt(example, tokenizer) for example, _ in jobs]
        seeds = [self._seed(example, sample) for example, sample in jobs]
        found = self._complete(prompts, seeds, self.task.stop_strings)
        return [
            self._rationale(example, sample, prompt, written, tokenizer)
            for (example, sample), prompt, written in zip(jobs, prompts, found, strict=True)
        ]

    def _complete(
        self, prompts: Sequence[str], seeds: Sequence[int], stop_strings: Sequence[str]
    ) -> list[Written]:
        from collegium.teachers.sampling import complete

        model, tokenizer = self.load()
        try:
            return complete(
                model,
                tokenizer,
                prompts,
                seeds,
                stop_strings,
                temperature=self.config.temperature,
                max_new_tokens=self.config.max_new_tokens,
                # A chat template writes its special tokens itself.
                add_special_tokens=not self._uses_chat(tokenizer),
            )
        except PromptTooLong as error:
            raise RecipeError(
                f"teacher {self.name!r}: {error}; lower teachers.{self.name}.max_new_tokens or use "
                "a model with a longer context"
            ) from None

    def _rationale(
        self,
        example: Example,
        sample: int,
        prompt: str,
        written: Written,
        tokenizer: Any,
    ) -> Rationale:
        completion = tokenizer.decode(written.ids, skip_special_tokens=True)
        parsed = self.task.parse(completion, example)
        text = parsed.rationale if parsed.parsed else cut(completion, self.task.stop_strings)
        return Rationale(
            teacher=self.name,
            sample=sample,
            text=text.strip(),
            answer=parsed.answer,
            parsed=parsed.parsed,
            gold_in_prompt=self.config.forced_gold,
            prompt_hash=prompt_hash(prompt),
            prompt_tokens=written.prompt_tokens,
            completion_tokens=written.tokens,
            licence=self.config.licence,
        )

    def _prompt(self, example: Example, tokenizer: Any) -> str:
        if self.prompt is not None:
            return self.prompt(example)
        gold = example.answer if self.config.forced_gold else None
        return self._as_chat(self.task.teacher_prompt(example, gold=gold), tokenizer)

    def _as_chat(self, text: str, tokenizer: Any) -> str:
        if not self._uses_chat(tokenizer):
            return text
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )

    def _uses_chat(self, tokenizer: Any) -> bool:
        return self.prompt is None and self.config.chat == "auto" and bool(tokenizer.chat_template)

    def _seed(self, example: Example, sample: int, stage: str = "") -> int:
        key = f"{self.config.seed}/{example.id}/{sample}{f'/{stage}' if stage else ''}".encode()
        return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 1


def build_local(
    name: str,
    config: LocalConfig,
    task: Task,
    *,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    prompt: Callable[[Example], str] | None = None,
) -> LocalTeacher:
    """Build a local teacher.

    Args:
        name: the teacher's name.
        config: its section.
        task: whose questions it answers.
        checkpoint: the directory that a stage trained, where the section says `train`.
        device: where it runs; default: a GPU if there is one.
        prompt: see `LocalTeacher`.

    Raises:
        RecipeError: the section says `train` and no checkpoint is handed over.
        CheckpointError: the directory lacks something.
    """
    path = checkpoint or config.checkpoint
    if path is None:
        raise RecipeError(f"teachers.{name}: its train stage has to run before it can answer")
    return LocalTeacher(name, config, task, Path(path), device=device, prompt=prompt)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
