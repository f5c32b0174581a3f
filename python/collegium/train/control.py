"""What `DistillTrainer` checks before and decides during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import EarlyStoppingCallback, TrainerCallback

from collegium.errors import ArgumentError, DataError
from collegium.objectives.trees import TrainingItem, describe
from collegium.registry import lookup
from collegium.train.config import DistillArguments
from collegium.train.models import is_encoder_decoder, output_head, verify_model
from collegium.train.vocabulary import check_same_tokenizer


class Flow(TrainerCallback):
    """Logs the last step, and saves at every evaluation when the best model is to be kept."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Extend what the default flow decided for this step."""
        if state.global_step >= state.max_steps:
            control.should_log = True
        if control.should_evaluate and args.load_best_model_at_end:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Extend what the default flow decided for this epoch."""
        if control.should_evaluate and args.load_best_model_at_end:
            control.should_save = True


def early_stopping(args: DistillArguments) -> list[TrainerCallback]:
    """Return the callback that stops after `patience` evaluations without improvement."""
    return [] if args.patience is None else [EarlyStoppingCallback(args.patience)]


def is_finished(args: DistillArguments, state: Mapping[str, Any], max_steps: int) -> bool:
    """Tell whether the training of a checkpoint's `state` had come to its end."""
    if state["global_step"] >= max_steps:
        return True
    stopper = (state.get("stateful_callbacks") or {}).get("EarlyStoppingCallback")
    count = (stopper or {}).get("attributes", {}).get("early_stopping_patience_counter", 0)
    return args.patience is not None and count >= args.patience


def check_inputs(
    args: DistillArguments,
    model: nn.Module,
    train: Sequence[TrainingItem],
    validation: Sequence[TrainingItem] | None,
    teachers: Mapping[str, nn.Module],
    tokenizer: Any,
) -> None:
    """Check that arguments, data, student and teachers fit together.

    Raises:
        ArgumentError: an objective without sequences, distributions without teachers or the other
            way round, a teacher of another kind, a head that is not understood.
        DataError: an id outside the student's vocabulary.
        CheckpointError: a teacher has another tokenizer.
    """
    found = dict.fromkeys(name for sequence in train for name in sequence.objectives)
    for name in args.objectives:
        if name not in found:
            raise ArgumentError(
                f"objectives.{name}: no training sequence has this objective; the data has "
                f"{sorted(found) or 'no sequences at all'}"
            )
    known = set(args.objectives)
    if validation is not None and not any(known & set(s.objectives) for s in validation):
        raise ArgumentError("no validation sequence has one of the objectives")
    if teachers and not args.distills:
        raise ArgumentError(
            f"teachers {sorted(teachers)} are given, but no objective has distill > 0"
        )
    if args.distills and not teachers:
        raise ArgumentError(f"objectives {list(args.distills)} have distill > 0, but no teacher")
    for name in args.teachers:
        lookup(teachers, name, "teacher of the mixture", ArgumentError)
    verify_model(model)
    vocabulary = output_head(model).weight.shape[0]
    for sequence in (*train, *(validation or ())):
        if max(max(sequence.input_ids), max(sequence.edge_target)) >= vocabulary:
            raise DataError(
                f"{describe(sequence)} has an id "
                f"outside the student's vocabulary of {vocabulary}: it was encoded for another one"
            )
    for name, teacher in teachers.items():
        if is_encoder_decoder(teacher) != is_encoder_decoder(model):
            raise ArgumentError(
                f"teacher {name!r} and the student must both be decoder-only or encoder-decoder"
            )
        verify_model(teacher, f"teacher {name!r}")
        folder = Path(getattr(getattr(teacher, "config", None), "_name_or_path", "") or "-")
        if tokenizer is not None and (folder / "tokenizer.json").is_file():
            check_same_tokenizer(tokenizer, folder, name)
