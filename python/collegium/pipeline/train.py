"""Stage `train`: encoded sequences and loaded teachers in, a `from_pretrained` directory out."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collegium.errors import RecipeError
from collegium.objectives.files import read_metadata
from collegium.objectives.formats import PromptFormat
from collegium.objectives.tree_files import read_items
from collegium.objectives.trees import EncodedTree, TrainingItem
from collegium.pipeline.objectives import Weights
from collegium.pipeline.progress import Progress
from collegium.pipeline.store import write_json
from collegium.pipeline.students import StudentSource
from collegium.recipe import Recipe, TrainSection
from collegium.tasks.base import Task

VERSION = 1
FROM_CHECKPOINT_RATE = 5e-5
FROM_SCRATCH_RATE = 3e-3
EVALUATIONS = 5
MOST_VALIDATED = 200


def train(
    source: Path,
    work: Path,
    recipe: Recipe,
    student: StudentSource,
    weights: Mapping[str, Weights],
    *,
    form: PromptFormat,
    task: Task,
    teachers: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """Train a student, going on from the last whole checkpoint below `work` if there is one.

    Writes ``student/`` (weights, tokenizer, `collegium.json`) and ``log.json`` (losses by step).

    Returns:
        Steps, tokens, seconds (of this process and in all), parameters, final losses.

    Raises:
        RecipeError: no training sequence has an objective with a weight.
    """
    from collegium.evaluate.student import StudentInfo, write_student_info
    from collegium.train.checkpoint import find_last_checkpoint, save_student
    from collegium.train.student import build_student
    from collegium.train.trainer import DistillTrainer

    sequences = _wanted(read_items(source / "train.parquet"), weights)
    if not sequences:
        raise RecipeError(f"no training sequence for the objectives {', '.join(weights)}")
    model, tokenizer = build_student(
        **student.arguments, seed=recipe.seed, dtype=recipe.student.dtype
    )
    steps, every = run_lengths(recipe.train, len({s.example_id for s in sequences}))
    validation = _first_questions(
        _wanted(read_items(source / "validation.parquet"), weights),
        validated_questions(recipe.train, every),
    )
    arguments = _arguments(
        recipe, weights, work / "checkpoints", steps, every, bool(validation), teachers
    )
    trainer = DistillTrainer(
        model=model,
        args=arguments,
        train_sequences=sequences,
        validation_sequences=validation or None,
        teachers=teachers,
        processing_class=tokenizer,
        callbacks=[_watcher(progress, arguments.max_steps)],
    )
    started = time.monotonic()
    last = find_last_checkpoint(work / "checkpoints")
    result = trainer.train(resume_from_checkpoint=str(last) if last else None)
    seconds = time.monotonic() - started
    save_student(trainer.student, tokenizer, work / "student")
    write_student_info(
        work / "student",
        StudentInfo(
            task=task.name,
            task_options=task.options.model_dump(mode="json"),
            format=form,
            objectives=list(weights),
            kind=student.kind,
            max_prompt_tokens=recipe.pack.max_prompt_tokens,
            max_target_tokens=recipe.pack.max_target_tokens,
            label_source=recipe.train.label_source,
            tokenizer=read_metadata(source / "train.parquet").get("tokenizer"),
        ),
    )
    write_json(work / "log.json", _without_times(trainer.state.log_history))
    shutil.rmtree(work / "checkpoints", ignore_errors=True)
    return {
        "steps": trainer.state.global_step,
        "tokens": trainer.state.num_input_tokens_seen,
        "seconds": round(seconds, 2),
        "resumed_from": last.name if last else None,
        "parameters": sum(p.numel() for p in trainer.student.parameters()),
        "trained_parameters": sum(
            p.numel() for p in trainer.student.parameters() if p.requires_grad
        ),
        "learning_rate": arguments.learning_rate,
        "loss": result.training_loss,
        "note": f"{trainer.state.global_step} steps, loss {result.training_loss:.4f}",
    }


def _wanted(items: list[TrainingItem], weights: Mapping[str, Weights]) -> list[TrainingItem]:
    """Return the items, or what is left of them, that serve an objective with a weight."""
    found = [
        item.only(weights) if isinstance(item, EncodedTree) else item
        for item in items
        if any(name in weights for name in item.objectives)
    ]
    return [item for item in found if item is not None]


def _first_questions(items: list[TrainingItem], count: int) -> list[TrainingItem]:
    chosen = set(list(dict.fromkeys(s.example_id for s in items))[:count])
    return [s for s in items if s.example_id in chosen]


def run_lengths(section: TrainSection, questions: int) -> tuple[int, int]:
    """Return the optimizer steps of the run, and those between two validations."""
    steps = section.max_steps or math.ceil(
        section.epochs * math.ceil(questions / section.batch_size)
    )
    return steps, section.evaluate_every or max(1, math.ceil(steps / EVALUATIONS))


def validated_questions(section: TrainSection, evaluate_every: int) -> int:
    """Return how many questions the validation loss is measured on each time."""
    trained_between = evaluate_every * section.batch_size
    return section.validation_questions or max(1, min(MOST_VALIDATED, trained_between // 2))


def _arguments(
    recipe: Recipe,
    weights: Mapping[str, Weights],
    output: Path,
    steps: int,
    evaluate_every: int,
    validates: bool,
    teachers: Mapping[str, Any],
) -> Any:
    import torch

    from collegium.train.config import DistillArguments, ObjectiveWeight

    section = recipe.train
    rate = section.learning_rate or (
        FROM_CHECKPOINT_RATE if recipe.student.checkpoint else FROM_SCRATCH_RATE
    )
    select = section.selection == "loss" and validates
    # transformers renames it: set only where it is asked for.
    extra: dict[str, Any] = {}
    if section.gradient_checkpointing:
        extra["gradient_checkpointing"] = True
    return DistillArguments(
        output_dir=str(output),
        objectives={n: ObjectiveWeight(w.weight, w.distill) for n, w in weights.items()},
        teachers={n: section.distributions.teachers[n] for n in teachers},
        divergence=section.distributions.divergence,
        temperature=section.distributions.temperature,
        beta=section.distributions.beta,
        batch_size=section.batch_size,
        gradient_accumulation_steps=section.accumulation,
        objective_batches=section.objective_batches,
        packing=section.packing,
        row_tokens=section.row_tokens,
        max_steps=steps,
        learning_rate=rate,
        lr_scheduler_type=section.schedule,
        warmup_steps=math.ceil(section.warmup_ratio * steps),
        weight_decay=section.weight_decay,
        adam_beta2=section.adam_beta2,
        max_grad_norm=section.max_grad_norm,
        selection="loss" if select else "last",
        patience=section.patience if select else None,
        eval_strategy="steps" if validates else "no",
        eval_steps=evaluate_every,
        save_strategy="steps",
        save_steps=evaluate_every if select else section.save_every or evaluate_every,
        logging_steps=max(1, steps // 50),
        bf16=section.bf16,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        **extra,
    )


def _watcher(progress: Progress, steps: int) -> Any:
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        loss = ""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                self.loss = f"loss {float(logs['loss']):.4f}"

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.advance("train", state.global_step, steps, self.loss)

    return Watcher()


def _without_times(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the log without clock readings, keys in order, so that equal runs are equal."""
    timed = ("runtime", "per_second", "flos")
    return [{k: entry[k] for k in sorted(entry) if not k.endswith(timed)} for entry in log]
