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
from collegium.tasks.base import Task
from collegium.tasks.parsing import cut
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash
from collegium.teachers.checkpoints import check_directory, load_checkpoint


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

    @model_validator(mode="after")
    def _consistent(self) -> LocalConfig:
        if (self.checkpoint is None) == (self.train is None):
            raise ValueError("give exactly one of checkpoint and train")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples above 1 are all the same at temperature 0; set temperature")
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
            made = self._generate([(examples[index], sample) for index, sample in batch])
            for (index, _), rationale in zip(batch, made, strict=True):
                out[index].append(rationale)
        return out

    def _generate(self, jobs: Sequence[tuple[Example, int]]) -> list[Rationale]:
        import torch

        from collegium.teachers.sampling import RowSampler, StopAtText

        model, tokenizer = self.load()
        prompts = [self._prompt(example, tokenizer) for example, _ in jobs]
        chat = self._uses_chat(tokenizer)
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=not chat)
        inputs = {key: inputs[key].to(model.device) for key in ("input_ids", "attention_mask")}
        encoder_decoder = bool(model.config.is_encoder_decoder)
        start = 1 if encoder_decoder else inputs["input_ids"].shape[1]
        positions = getattr(model.config, "max_position_embeddings", None)
        if positions and not encoder_decoder and start + self.config.max_new_tokens > positions:
            raise RecipeError(
                f"teacher {self.name!r}: a prompt of {start} tokens and max_new_tokens "
                f"{self.config.max_new_tokens} exceed the model's {positions} positions; lower "
                f"teachers.{self.name}.max_new_tokens or use a model with a longer context"
            )
        seeds = [self._seed(example, sample) for example, sample in jobs]
        temperature = self.config.temperature
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                generation_config=_generation_config(model, tokenizer, self.config.max_new_tokens),
                logits_processor=[RowSampler(seeds, temperature)] if temperature else [],
                stopping_criteria=[StopAtText(tokenizer, start, self.task.stop_strings)],
            )
        counts = inputs["attention_mask"].sum(1).tolist()
        return [
            self._rationale(example, sample, prompt, int(count), row, tokenizer)
            for (example, sample), prompt, count, row in zip(
                jobs, prompts, counts, output[:, start:].tolist(), strict=True
            )
        ]

    def _rationale(
        self,
        example: Example,
        sample: int,
        prompt: str,
        prompt_tokens: int,
        row: list[int],
        tokenizer: Any,
    ) -> Rationale:
        ends = [at for at, token in enumerate(row) if token in _ends(self.load()[0], tokenizer)]
        written = row[: min(ends)] if ends else row
        completion = tokenizer.decode(written, skip_special_tokens=True)
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
            prompt_tokens=prompt_tokens,
            completion_tokens=len(written) + bool(ends),
            licence=self.config.licence,
        )

    def _prompt(self, example: Example, tokenizer: Any) -> str:
        if self.prompt is not None:
            return self.prompt(example)
        gold = example.answer if self.config.forced_gold else None
        text = self.task.teacher_prompt(example, gold=gold)
        if not self._uses_chat(tokenizer):
            return text
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )

    def _uses_chat(self, tokenizer: Any) -> bool:
        return self.prompt is None and self.config.chat == "auto" and bool(tokenizer.chat_template)

    def _seed(self, example: Example, sample: int) -> int:
        key = f"{self.config.seed}/{example.id}/{sample}".encode()
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


def _ends(model: Any, tokenizer: Any) -> set[int]:
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return {tokenizer.eos_token_id, *(token for token in own if token is not None)}


def _generation_config(model: Any, tokenizer: Any, max_new_tokens: int) -> Any:
    from transformers import GenerationConfig

    # A fresh configuration: what the checkpoint suggests (top-k, penalties) would change the
    # distribution that is sampled from.
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(_ends(model, tokenizer)),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )
