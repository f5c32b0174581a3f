"""`DistillTrainer`: a `transformers.Trainer` over the free functions of this package."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, TrainerCallback

from collegium.objectives.trees import EncodedTree, TrainingItem, linearise
from collegium.train.attention import use_tree_attention
from collegium.train.collate import Collator
from collegium.train.config import DistillArguments
from collegium.train.control import Flow, check_inputs, early_stopping
from collegium.train.guards import guard
from collegium.train.loader import ShardLoader
from collegium.train.loss import LossOptions, StudentWithLoss
from collegium.train.meter import LossMeter
from collegium.train.models import core_parameters, is_encoder_decoder, packing_obstacle
from collegium.train.objective import TotalLoss
from collegium.train.plan import Plan, evaluation_batches
from collegium.train.resume import ResumableTrainer


class DistillTrainer(ResumableTrainer):
    """Trains a student on encoded sequences, with distributions of live teachers where asked.

    Args:
        model: the student, a Hugging Face language model (decoder-only or encoder-decoder); also
            found as `student`, while `model` is the module that ends with the loss.
        args: objectives and their weights, batch size, and the usual training arguments.
        train_sequences: encoded sequences or trees; those of objectives that `args` does not name
            are left out. For a model that cannot attend tree by tree (sliding windows, recurrent
            layers) trees become their paths, with a warning: the same loss at more cost.
        validation_sequences: for the validation loss, by which the model is selected and early
            stopping decides; no other split is ever looked at.
        teachers: name to a same-tokenizer model of the student's kind. They read the student's own
            ids; their distributions are learned on the edges of objectives with ``distill > 0``.
        processing_class: the tokenizer; saved with the student.
        callbacks: as in `transformers.Trainer`.

    Raises:
        ArgumentError: arguments, data and teachers do not fit together.
        DataError: no sequence to train on.
        CheckpointError: a teacher has another tokenizer.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: nn.Module,
        args: DistillArguments,
        train_sequences: Sequence[TrainingItem],
        validation_sequences: Sequence[TrainingItem] | None = None,
        teachers: Mapping[str, nn.Module] | None = None,
        processing_class: Any = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        teachers = dict(teachers or {})
        if args.n_gpu > 1:
            args._n_gpu = 1  # several GPUs need several processes (torchrun), not DataParallel
        check_inputs(args, model, train_sequences, validation_sequences, teachers, processing_class)
        self.student: Any = model
        models = {"student": model, **teachers}
        trees = any(
            isinstance(s, EncodedTree) for s in (*train_sequences, *(validation_sequences or ()))
        )
        if trees and self._needs_paths(models, (*train_sequences, *(validation_sequences or ()))):
            train_sequences = _paths(train_sequences)
            validation_sequences = _paths(validation_sequences) if validation_sequences else None
        options = LossOptions(args.divergence, args.temperature, args.beta, args.kernel)
        super().__init__(
            model=StudentWithLoss(model, options),
            args=args,
            train_dataset=train_sequences,  # type: ignore[arg-type]
            eval_dataset=validation_sequences,  # type: ignore[arg-type]
            processing_class=processing_class,
            callbacks=[Flow(), *early_stopping(args), *(callbacks or [])],
        )
        self.remove_callback(PrinterCallback)
        self.distributed = args.world_size > 1
        self.total_loss = TotalLoss(
            args.objectives, teachers, args.teachers, device=args.device, reduce=self.distributed
        )
        self.collate = Collator(
            tuple(args.objectives),
            pad=_pad_id(model, processing_class),
            signals=len(teachers),
            signal_objectives=args.distills,
            encoder=is_encoder_decoder(model),
        )
        self.plan = Plan(
            train_sequences,
            args.batch_size,
            tuple(args.objectives),
            accumulation=args.gradient_accumulation_steps,
            objective_batches=args.objective_batches,
            packing=args.packing and self._can_pack(train_sequences),
            row_tokens=args.row_tokens,
            seed=args.seed if args.data_seed is None else args.data_seed,
            drop_last=args.dataloader_drop_last,
            rank=args.process_index,
            world_size=args.world_size,
        )
        self.meter = self.new_meter()
        self._parameters = core_parameters(model)

    @staticmethod
    def _needs_paths(models: Mapping[str, nn.Module], items: Sequence[TrainingItem]) -> bool:
        """Prepare `models` for trees; tell whether one of them cannot take them."""
        branching = [s for s in items if isinstance(s, EncodedTree) and not s.is_path]
        if not branching:
            return False
        depth = max(tree.depth for tree in branching)
        for name, model in models.items():
            if not is_encoder_decoder(model):
                use_tree_attention(model)
                guard(model)
            if obstacle := packing_obstacle(model, depth, trees=True):
                warnings.warn(
                    f"{name}: {obstacle}; training goes on with the paths of the trees, one a row: "
                    "the same loss at more cost",
                    stacklevel=3,
                )
                return True
        return False

    def _can_pack(self, sequences: Sequence[TrainingItem]) -> bool:
        if is_encoder_decoder(self.student):
            return False
        longest = max(s.depth if isinstance(s, EncodedTree) else len(s) for s in sequences)
        for name, model in {"student": self.student, **self.total_loss.teachers}.items():
            use_tree_attention(model)
            if obstacle := packing_obstacle(model, longest):
                warnings.warn(
                    f"{name}: {obstacle}; training goes on with one sequence a row", stacklevel=3
                )
                return False
        return True

    def new_meter(self) -> LossMeter:
        """Return an empty meter of this trainer's loss."""
        return self.total_loss.meter()

    # ---- data ----

    def get_train_dataloader(self) -> ShardLoader:
        """Return the loader of this rank's shards."""
        return ShardLoader(self.plan, self.collate)

    def num_examples(self, dataloader: Any) -> int:
        """Return the number of training questions."""
        return self.plan.questions

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Fetch an optimizer step's shards and count its normalisers, before the first backward."""
        shards = list(itertools.islice(epoch_iterator, num_batches))
        batches = itertools.chain.from_iterable(shards)
        totals = self.total_loss.count(batches)
        self.meter.begin_step(totals)
        return shards, totals

    # ---- loss ----

    def training_step(
        self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> Tensor:
        """Run forward and backward over the micro-batches of a shard, one graph alive at a time."""
        if not model.training:
            model.train()
        # Without other ranks to wait for, micro-batches without edges need no pass at all.
        work = [b for b in inputs if self.distributed or b.edge_src.numel()]
        loss = torch.zeros((), device=self.args.device)
        for number, batch in enumerate(work):
            last = number == len(work) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    part = self.compute_loss(model, batch, num_items_in_batch=num_items_in_batch)
                self.accelerator.backward(part)
            loss += part.detach()
        return loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return a micro-batch's share of the total loss, times the ranks that will average it."""
        totals = num_items_in_batch
        if totals is None:
            totals = self.total_loss.count([inputs])
        parts = self.total_loss(model, inputs, totals)
        self.meter.add(parts)
        for tokens in (inputs.input_ids, inputs.encoder_input_ids):
            self.state.num_input_tokens_seen += 0 if tokens is None else tokens.numel()
        loss = parts["loss"] * self.args.world_size
        return (loss, parts) if return_outputs else loss

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Return the total loss over the validation sequences as if they were one step.

        Same formula as in training, without dropout; also its parts, as in the log.
        """
        sequences: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        rows = evaluation_batches(
            sequences,
            self.plan.objectives,
            self.args.per_device_eval_batch_size,
            rank=self.args.process_index,
            world_size=self.args.world_size,
        )
        model: Any = self.model_wrapped if self.distributed else self.model
        with self.compute_loss_context_manager():
            entry = self.total_loss.validate(
                model,
                (self.collate(sequences, part) for part in rows),
                step=self.state.global_step,
            )
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in entry.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log `logs`; entries of the training loss are those of `LossMeter`."""
        if "loss" in logs:
            logs.update(self.meter.pop(self.state.global_step, reduce=self.distributed))
        if "train_loss" in logs:
            logs["train_loss"] = self.meter.mean()
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 6 times tokens times parameters outside the embeddings."""
        return 6 * self._parameters * sum(batch.input_ids.numel() for batch in inputs)

    def _track_num_input_tokens(self, inputs: Any) -> None:
        """Tokens are counted in `compute_loss`."""


def _paths(items: Sequence[TrainingItem]) -> list[TrainingItem]:
    paths: list[TrainingItem] = []
    for item in items:
        paths += linearise(item) if isinstance(item, EncodedTree) else [item]
    return paths


def _pad_id(model: nn.Module, tokenizer: Any) -> int:
    pad = getattr(tokenizer, "pad_token_id", None)
    if pad is None:
        pad = getattr(getattr(model, "config", None), "pad_token_id", None)
    return 0 if pad is None else int(pad)
