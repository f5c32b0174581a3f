"""`DistillArguments`: `transformers.TrainingArguments` with the objectives of a distillation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

from collegium.errors import ArgumentError
from collegium.objectives.formats import teacher_of
from collegium.registry import lookup


@dataclass(frozen=True)
class ObjectiveWeight:
    """lambda and kappa of one objective: the weights of its cross-entropy and distillation."""

    weight: float = 1.0
    distill: float = 0.0


def objective_weights(values: Mapping[str, Any]) -> dict[str, ObjectiveWeight]:
    """Return the weights by objective; a number alone stands for `weight`.

    Raises:
        ArgumentError: an unknown objective or key, a negative weight, or no weight above 0.
    """
    weights = {}
    for name, value in values.items():
        teacher_of(name)
        if isinstance(value, ObjectiveWeight):
            value = asdict(value)
        if isinstance(value, int | float):
            value = {"weight": value}
        for key in value:
            lookup({"weight": 0, "distill": 0}, key, f"key of objective {name!r}", ArgumentError)
        weights[name] = ObjectiveWeight(**{key: float(v) for key, v in value.items()})
        for key, number in asdict(weights[name]).items():
            if not (math.isfinite(number) and number >= 0):
                raise ArgumentError(f"objectives.{name}.{key}: expected 0 or more, found {number}")
    if not any(w.weight or w.distill for w in weights.values()):
        raise ArgumentError("objectives: expected at least one with a weight above 0")
    return weights


@dataclass
class DistillArguments(TrainingArguments):
    """Arguments of `DistillTrainer`; everything that is not listed is `TrainingArguments`'.

    One optimizer step sees `batch_size` questions in every objective, on all ranks together.
    `gradient_accumulation_steps` cuts the step into as many micro-batches (times the objectives
    when they are separate) and changes memory, not the result. `per_device_train_batch_size`
    follows from these and is not to be set. With ``selection="loss"`` a checkpoint is written at
    every evaluation, and the one with the lowest validation loss is loaded at the end.
    """

    objectives: dict[str, Any] = field(
        default_factory=lambda: {"label": ObjectiveWeight()},
        metadata={"help": "Objective to {weight: lambda, distill: kappa}, or to lambda alone."},
    )
    batch_size: int = field(
        default=16, metadata={"help": "Questions per optimizer step, over all ranks."}
    )
    objective_batches: Literal["separate", "mixed"] = field(
        default="separate",
        metadata={"help": "One objective a micro-batch (as published), or all of them."},
    )
    packing: bool = field(
        default=False, metadata={"help": "Several sequences a row (decoder-only students)."}
    )
    row_tokens: int = field(default=1024, metadata={"help": "Capacity of a packed row."})
    teachers: dict[str, float] = field(
        default_factory=dict,
        metadata={"help": "Mixture weight by live teacher; default: all the same."},
    )
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = field(
        default="forward_kl",
        metadata={
            "help": "forward_kl = KL(teacher || student), reverse_kl = KL(student || teacher)."
        },
    )
    temperature: float = field(
        default=1.0, metadata={"help": "T: both distributions are softened by it."}
    )
    beta: float = field(
        default=0.5, metadata={"help": "jsd: D = beta KL(p || m) + (1 - beta) KL(q || m)."}
    )
    selection: Literal["loss", "last"] = field(
        default="last",
        metadata={"help": "Keep the model with the lowest validation loss, or the last one."},
    )
    patience: int | None = field(
        default=None,
        metadata={"help": "Stop after so many evaluations without a lower validation loss."},
    )
    kernel: Literal["auto", "triton", "torch", "reference"] = field(
        default="auto", metadata={"help": "Implementation of the loss."}
    )
    per_device_eval_batch_size: int = field(
        default=64, metadata={"help": "Sequences per micro-batch of the validation loss."}
    )
    logging_steps: float = field(default=50, metadata={"help": "Steps between two log entries."})
    save_total_limit: int | None = field(
        default=2, metadata={"help": "Checkpoints kept: the last ones and the best one."}
    )
    # A loss that is not finite is an error, not to be hidden; looking at it waits for the device.
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Not used."})
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "Early stopping goes on where it was."}
    )
    disable_tqdm: bool | None = field(default=True, metadata={"help": "No progress bar."})

    def __post_init__(self) -> None:
        """Check the values and derive those of `TrainingArguments`."""
        self.objectives = objective_weights(self.objectives)
        for name, low in (("batch_size", 1), ("row_tokens", 1), ("gradient_accumulation_steps", 1)):
            if getattr(self, name) < low:
                raise ArgumentError(f"{name}: expected {low} or more, found {getattr(self, name)}")
        for name, allowed in (
            ("objective_batches", ("separate", "mixed")),
            ("divergence", ("forward_kl", "reverse_kl", "jsd")),
            ("selection", ("loss", "last")),
        ):
            lookup(dict.fromkeys(allowed), getattr(self, name), name, ArgumentError)
        if not self.temperature > 0:
            raise ArgumentError(f"temperature: expected above 0, found {self.temperature}")
        if not 0 < self.beta < 1:
            raise ArgumentError(
                f"beta: expected between 0 and 1, found {self.beta}; for the ends use "
                "divergence='forward_kl' or 'reverse_kl'"
            )
        for name, share in self.teachers.items():
            if not (math.isfinite(share) and share > 0):
                raise ArgumentError(f"teachers.{name}: expected a weight above 0, found {share}")
        if self.patience is not None and (self.patience < 1 or self.selection != "loss"):
            raise ArgumentError("patience: expected 1 or more together with selection='loss'")
        # The base class would demand that saving and evaluating coincide; see `selection`.
        self.load_best_model_at_end = False
        self.per_device_train_batch_size = math.ceil(
            self.batch_size / self.gradient_accumulation_steps
        )
        super().__post_init__()
        evaluates = str(getattr(self.eval_strategy, "value", self.eval_strategy)) != "no"
        if self.selection == "loss" and not evaluates:
            raise ArgumentError("selection='loss' needs eval_strategy 'steps' or 'epoch'")
        self.metric_for_best_model = "loss" if evaluates else None
        self.greater_is_better = False if evaluates else None
        self.load_best_model_at_end = self.selection == "loss"

    def to_dict(self) -> dict[str, Any]:
        """Return all arguments as JSON values."""
        values = super().to_dict()
        values["objectives"] = {name: asdict(weight) for name, weight in self.objectives.items()}
        return values

    @property
    def distills(self) -> tuple[str, ...]:
        """The objectives with kappa > 0, whose edges receive distributions."""
        return tuple(name for name, weight in self.objectives.items() if weight.distill > 0)
