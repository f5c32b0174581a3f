"""Several arms and seeds trained at once, each in a process of its own.

Small models gain little from a second core; two of them side by side gain all of it. Outputs are
found by their hash and appear by a rename, so that processes need not know of each other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from collegium.pipeline.graph import Pipeline
from collegium.pipeline.progress import Progress, Silent
from collegium.pipeline.store import Store
from collegium.recipe import Recipe

SMALL = 10_000_000
"""Parameters up to which students are trained side by side unless told otherwise."""


@dataclass(frozen=True)
class Job:
    """One recipe to take up to a stage."""

    recipe: Recipe
    label: str
    until: str


@dataclass(frozen=True)
class Made:
    """A stage that a worker has made."""

    stage: str
    name: str
    label: str
    seconds: float
    summary: dict[str, Any]


class _Recorder(Silent):
    """Keeps what was made, for the process that tells the user."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str, float, dict[str, Any]]] = []

    def finished(self, stage: str, label: str, seconds: float, summary: dict[str, Any]) -> None:
        self.made.append((stage, label, seconds, summary))


def choose_jobs(wanted: int | None, pipeline: Pipeline, recipes: Sequence[Recipe]) -> int:
    """Return how many trainings run side by side.

    What is `wanted`, but no more than there are. By default as many as there are cores where there
    is no GPU and no student has more than `SMALL` parameters, else one.
    """
    if wanted is not None:
        return max(1, min(wanted, len(recipes)))
    import torch

    if len(recipes) < 2 or torch.cuda.is_available():
        return 1
    sizes = {recipe.student.model_dump_json(): recipe for recipe in recipes}.values()
    if any(pipeline.student_source(recipe).parameters() > SMALL for recipe in sizes):
        return 1
    return min(len(os.sched_getaffinity(0)), len(recipes))


def run_ahead(
    pipeline: Pipeline, base: Recipe, jobs: Sequence[Job], workers: int, progress: Progress
) -> None:
    """Make the stages of all jobs, `workers` at a time; teachers that several need come first.

    Raises:
        Whatever a job raised; the other jobs are stopped, their work so far is kept.
    """
    store = pipeline.store
    needs = {id(job): pipeline.teacher_runs(job.recipe) for job in jobs}
    teachers = {
        recipe.model_dump_json(): Job(recipe, f"teacher {name}", "evaluate")
        for job in jobs
        for name, recipe in needs[id(job)].items()
        if name in job.recipe.train.distributions.teachers
    }
    free = [j for j in jobs if not needs[id(j)].keys() & j.recipe.train.distributions.teachers]
    bound = [j for j in jobs if j not in free]
    total, done = len(teachers) + len(jobs), 0
    progress.line(f"training {total} models, {workers} at a time")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_initialise,
        initargs=(threads, os.getpid()),
    )
    try:
        first = [_submit(pool, store, base, job) for job in teachers.values()]
        rest = [_submit(pool, store, base, job) for job in free]
        for future in as_completed(first):
            done += 1
            _tell(future, store, progress, f"{done}/{total}")
        rest += [_submit(pool, store, base, job) for job in bound]
        for future in as_completed(rest):
            done += 1
            _tell(future, store, progress, f"{done}/{total}")
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, store: Store, base: Recipe, job: Job) -> Future[list[Made]]:
    return pool.submit(_work, store.root, store.recipe, store.force, base, job)


def _tell(future: Future[list[Made]], store: Store, progress: Progress, count: str) -> None:
    for made in future.result():
        store.made_elsewhere(made.name)
        summary = made.summary
        if made.stage == "train":
            summary = {**summary, "note": f"{summary['note']}  ({count})"}
        progress.finished(made.stage, made.label, made.seconds, summary)


def _work(root: Path, name: str, force: bool, base: Recipe, job: Job) -> list[Made]:
    recorder = _Recorder()
    store = Store(root, name, recorder, force=force, claim=False)
    Pipeline(store, recorder, base).reach(job.recipe, job.until, job.label)
    paths = {(o.stage, id(o.summary)): o.path.name for o in store.outputs()}
    return [
        Made(stage, paths[stage, id(summary)], label, seconds, summary)
        for stage, label, seconds, summary in recorder.made
    ]


def _initialise(threads: int, parent: int) -> None:
    """Use few threads, and do not outlive `parent`, the process that gave the work."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    logging.disable_progress_bar()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
