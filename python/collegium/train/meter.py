"""What the log says about the loss: sums kept on the device, read once per log entry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from collegium.errors import RunError


class LossMeter:
    """Adds up the parts of the loss between two log entries, and over the whole run.

    Log entry: ``loss`` (the total), ``ce_loss`` and ``kd_loss`` (its parts); per objective
    ``ce/<objective>`` and ``kd/<objective>``, unweighted means per token; per teacher
    ``teacher/<name>/divergence``, the mean of D_k. Step means over the steps since the last entry.

    Args:
        objectives: names in order.
        weight: lambda of each.
        distill: kappa of each.
        teachers: names of the signal sources in order.
        device: where the sums are kept.
    """

    def __init__(
        self,
        objectives: Sequence[str],
        weight: Sequence[float],
        distill: Sequence[float],
        teachers: Sequence[str],
        device: torch.device | str,
    ) -> None:
        self.objectives = tuple(objectives)
        self.scales = [tuple(weight), tuple(distill)]
        self.teachers = tuple(teachers)
        n, s = len(self.objectives), len(self.teachers)
        # ce [O], kd [O], divergence [S], signals [S]: sums over ranks; then the same on every rank:
        # steps in which an objective was there [2O].
        self.parts = torch.zeros(2 * n + 2 * s, dtype=torch.float64, device=device)
        self.present = torch.zeros(2, n, dtype=torch.float64, device=device)
        self.steps = 0
        self.run_loss = 0.0
        self.run_steps = 0

    def begin_step(self, totals: Tensor) -> None:
        """Count an optimizer step with its normalisers [2,O]."""
        self.present += totals > 0
        self.steps += 1

    def add(self, parts: Mapping[str, Tensor]) -> None:
        """Add the `LossParts` fields of a micro-batch."""
        kinds = [parts["ce"], parts["kd"]]
        if len(parts["divergence"]) == len(self.teachers):
            kinds += [parts["divergence"], parts["signals"]]
        flat = torch.cat(kinds)
        self.parts[: len(flat)] += flat

    def entry(self, parts: Tensor, present: Tensor, steps: int) -> dict[str, float]:
        """Return a log entry of summed `parts` over `steps` steps."""
        n, s = len(self.objectives), len(self.teachers)
        values = parts.tolist()
        there = present.tolist()
        sums = [values[:n], values[n : 2 * n]]
        entry = {"loss": sum(values[: 2 * n]) / steps, "ce_loss": sum(sums[0]) / steps}
        if any(self.scales[1]):
            entry["kd_loss"] = sum(sums[1]) / steps
        for kind, name in enumerate(("ce", "kd")):
            for i, objective in enumerate(self.objectives):
                if self.scales[kind][i] and there[kind][i]:
                    entry[f"{name}/{objective}"] = (
                        sums[kind][i] / self.scales[kind][i] / there[kind][i]
                    )
        for i, teacher in enumerate(self.teachers):
            if count := values[2 * n + s + i]:
                entry[f"teacher/{teacher}/divergence"] = values[2 * n + i] / count
        return entry

    def pop(self, step: int, *, reduce: bool) -> dict[str, float]:
        """Return the entry since the last one and start anew.

        Args:
            step: the optimizer step, for the message.
            reduce: sum over the ranks of the default process group.

        Raises:
            RunError: the loss is not finite.
        """
        if not self.steps:
            return {}
        if reduce:
            torch.distributed.all_reduce(self.parts)
        entry = self.entry(self.parts, self.present, self.steps)
        if not math.isfinite(entry["loss"]):
            raise RunError(
                f"the loss became {entry['loss']} at or before step {step}: lower "
                "train.learning_rate (or train.max_grad_norm)"
            )
        self.run_loss += entry["loss"] * self.steps
        self.run_steps += self.steps
        self.parts.zero_()
        self.present.zero_()
        self.steps = 0
        return entry

    def mean(self) -> float:
        """Return the mean loss over all steps logged so far."""
        return self.run_loss / max(self.run_steps, 1)

    def state(self, *, reduce: bool) -> dict[str, Any]:
        """Return everything as JSON values, with the ranks' sums added up."""
        parts = self.parts.clone()
        if reduce:
            torch.distributed.all_reduce(parts)
        return {
            "parts": parts.tolist(),
            "present": self.present.tolist(),
            "steps": self.steps,
            "run_loss": self.run_loss,
            "run_steps": self.run_steps,
        }

    def load(self, state: Mapping[str, Any], *, rank: int = 0) -> None:
        """Take up a `state`; the sums go to rank 0 alone."""
        parts = torch.tensor(state["parts"], dtype=torch.float64, device=self.parts.device)
        self.parts = parts if rank == 0 else torch.zeros_like(parts)
        self.present = torch.tensor(state["present"], dtype=torch.float64, device=self.parts.device)
        self.steps = state["steps"]
        self.run_loss = state["run_loss"]
        self.run_steps = state["run_steps"]
