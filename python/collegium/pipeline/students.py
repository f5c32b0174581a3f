"""Where a student comes from, and the digests of what it depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from collegium.digest import digest_path
from collegium.errors import CheckpointError
from collegium.objectives.chat import ChatTurn, chat_turn, check_turn
from collegium.objectives.formats import StudentKind
from collegium.objectives.prompts import SpecialIds
from collegium.pipeline.store import UNKNOWN, Output
from collegium.pretrained import check_pretrained
from collegium.recipe import StudentSection, TokenizerTraining
from collegium.registry import nearest


@dataclass(frozen=True)
class StudentSource:
    """A student that has not been loaded yet.

    `digest` covers the checkpoint or the configuration's file, `tokenizer_digest` the tokenizer;
    both are `UNKNOWN` where a dry run has not trained the tokenizer.
    """

    section: StudentSection
    tokenizer_path: Path
    digest: str
    tokenizer_digest: str

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments by which the trainer's functions build this student."""
        common: dict[str, Any] = {"trust_remote_code": self.section.trust_remote_code}
        if self.section.checkpoint is not None:
            return {**common, "checkpoint": self.section.checkpoint}
        return {**common, "config": self.section.config, "tokenizer": self.tokenizer_path}

    @property
    def options(self) -> dict[str, Any]:
        """What the trained weights depend on besides files, for the hash."""
        kept = self.section.model_dump(include={"dtype", "trust_remote_code"})
        config = self.section.config
        if isinstance(config, dict) or (config is not None and not Path(config).exists()):
            kept["config"] = config
        return kept

    @cached_property
    def _spec(self) -> Any:
        from collegium.train.student import describe_student

        return describe_student(**self.arguments)

    @property
    def kind(self) -> StudentKind:
        """Decoder-only or encoder-decoder."""
        return self._spec.kind

    @property
    def special(self) -> SpecialIds:
        """Ids of the tokens with a role."""
        return self._spec.special

    def chat(self) -> ChatTurn:
        """Return the turn of the student's chat template.

        Raises:
            CheckpointError: it has none that can be used.
        """
        return chat_turn(self._spec.tokenizer)

    def check_chat(self, turn: ChatTurn, prompts: Iterable[tuple[str, str]]) -> None:
        """Compare `turn` around each (example's name, text) with what the template makes of it.

        Raises:
            DataError: the template alters a text.
        """
        check_turn(self._spec.tokenizer, turn, prompts)

    @property
    def positions(self) -> int | None:
        """Number of positions that the student has, None without a limit."""
        limit = getattr(self._spec.config.get_text_config(), "max_position_embeddings", None)
        return int(limit) if limit else None

    def parameters(self) -> int:
        """Return the number of weights, without allocating them."""
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

        loader = AutoModelForCausalLM if self.kind == "decoder" else AutoModelForSeq2SeqLM
        with torch.device("meta"):
            return loader.from_config(self._spec.config).num_parameters()


def resolve_student(
    section: StudentSection, train_tokenizer: Callable[[TokenizerTraining], Output]
) -> StudentSource:
    """Return a section's student, its tokenizer trained by `train_tokenizer` if it asks for one.

    Raises:
        CheckpointError: the directory, its weights or its tokenizer are missing.
    """
    from collegium.train.vocabulary import tokenizer_file

    if section.checkpoint is not None:
        folder = check_pretrained(section.checkpoint, "student")
        tokenizer = tokenizer_file(folder)
        return StudentSource(section, tokenizer.parent, digest_path(folder), digest_path(tokenizer))
    if isinstance(section.tokenizer, TokenizerTraining):
        output = train_tokenizer(section.tokenizer)
        return StudentSource(section, output.path, output.digest, output.digest)
    tokenizer = Path(str(section.tokenizer))
    if UNTRAINED in tokenizer.parts:
        return StudentSource(section, tokenizer, UNKNOWN, UNKNOWN)
    found = digest_path(tokenizer_file(tokenizer))
    config = section.config
    own = digest_path(Path(config)) if isinstance(config, str) and Path(config).exists() else ""
    return StudentSource(section, tokenizer, found + own, found)


def check_student(section: StudentSection) -> None:
    """Look for what a student is made from, before anything is run.

    Raises:
        CheckpointError: a directory, a file of it or a shipped configuration does not exist.
    """
    from collegium.train.student import shipped_configs
    from collegium.train.vocabulary import tokenizer_file

    if section.checkpoint is not None:
        check_pretrained(section.checkpoint, "student")
    config = section.config
    known = shipped_configs()
    if isinstance(config, str) and config not in known and not Path(config).exists():
        raise CheckpointError(
            f"student.config {config!r}: neither a shipped configuration ({', '.join(known)}) nor "
            f"a JSON file.{nearest(config, known)}"
        )
    if isinstance(section.tokenizer, str) and UNTRAINED not in Path(section.tokenizer).parts:
        tokenizer_file(section.tokenizer)


UNTRAINED = "(untrained)"
"""Stands in a path for a tokenizer that a dry run has not trained."""
