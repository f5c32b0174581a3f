"""A `transformers.Trainer` whose checkpoints are atomic and whose resumed run is the same run."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer, TrainerState
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import TrainOutput

from collegium.errors import RunError
from collegium.train import checkpoint as disk
from collegium.train.control import is_finished
from collegium.train.loader import ShardLoader
from collegium.train.meter import LossMeter

METER = "loss_meter.json"


class ResumableTrainer(Trainer):
    """Overrides of saving and resuming; data and loss are `DistillTrainer`'s.

    A checkpoint is a `from_pretrained` directory with optimizer, scheduler, random state, trainer
    state and the log's open sums beside it. Resuming restores all of them, so that on CPU the
    result is the same as without interruption.
    """

    args: Any
    student: Any
    meter: LossMeter
    distributed: bool

    def new_meter(self) -> LossMeter:
        """Return an empty meter."""
        raise TypeError("new_meter is the subclass's")

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        """Train; with ``resume_from_checkpoint=True`` go on from the last complete checkpoint.

        Without any checkpoint it starts at the beginning. A path names a certain checkpoint. On
        CPU the result is the same as without interruption.

        Raises:
            RunError: the named checkpoint is not complete, the loss is not finite, or the disk is
                full (earlier checkpoints are intact).
        """
        self.meter = self.new_meter()
        folder = None
        if resume_from_checkpoint is True:
            folder = disk.find_last_checkpoint(self.args.output_dir or ".")
        elif resume_from_checkpoint:
            folder = Path(resume_from_checkpoint)
            if not disk.is_complete(folder):
                raise RunError(f"checkpoint {folder} is not complete: resume from another one")
        if self.args.should_save:
            disk.remove_partial(self.args.output_dir or ".")
        if folder is not None:
            self.meter.load(json.loads((folder / METER).read_text()), rank=self.args.process_index)
            if is_finished(self.args, disk.read_state(folder), self._max_steps()):
                return self._restore(folder)
        output = super().train(
            str(folder) if folder is not None else None, trial, ignore_keys_for_eval
        )
        return output._replace(training_loss=self.meter.mean())

    def _max_steps(self) -> int:
        if self.args.max_steps > 0:
            return self.args.max_steps
        loader: ShardLoader = self.get_train_dataloader()  # type: ignore[assignment]
        return math.ceil(self.args.num_train_epochs * loader.steps)

    def _restore(self, folder: Path) -> TrainOutput:
        """Load the outcome of a training that had already ended."""
        self.state = TrainerState.load_from_json(str(folder / disk.STATE))
        self._load_from_checkpoint(str(folder))
        if self.args.load_best_model_at_end and self.state.best_model_checkpoint is not None:
            self._load_best_model()
        loss = self.meter.mean()
        return TrainOutput(self.state.global_step, loss, {"train_loss": loss})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        disk.load_weights(self.student, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        # The run's folder may have been renamed since: only the checkpoint's own name counts.
        name = Path(str(self.state.best_model_checkpoint)).name
        disk.load_weights(self.student, Path(self.args.output_dir or ".") / name)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student as a plain `from_pretrained` directory, atomically."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir or ".")
        save = disk.write_student if _internal_call else disk.save_student
        save(self.student, self.processing_class, folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint beside its place and rename it: it is complete or not there."""
        self.store_flos()
        run = Path(self.args.output_dir or ".")
        target = run / f"checkpoint-{self.state.global_step}"
        if self.state.best_global_step:
            best = run / f"checkpoint-{self.state.best_global_step}"
            if best == target or best.is_dir():
                self.state.best_model_checkpoint = str(best)
        meter = self.meter.state(reduce=self.distributed)
        needed = disk.bytes_needed(self.student, optimizer=True)
        with disk.writing(target, needed) as partial:
            self.save_model(str(partial), _internal_call=True)
            self._save_optimizer_and_scheduler(str(partial))
            self._save_scaler(str(partial))
            self._save_rng_state(str(partial))
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                stateful: Any = self.state.stateful_callbacks
                for callback in [*self.callback_handler.callbacks, self.control]:
                    if isinstance(callback, ExportableState):
                        stateful[type(callback).__name__] = callback.state()
                self.state.save_to_json(os.fspath(partial / disk.STATE))
                (partial / METER).write_text(json.dumps(meter))
                disk.seal(partial)
                disk.replace_folder(partial, target)
                disk.rotate(run, self.args.save_total_limit, self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()
