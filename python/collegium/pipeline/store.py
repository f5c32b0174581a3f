"""The run directory: outputs of stages, found again by the hash of all that they depend on.

``RUN/stages/<stage>-<hash>/`` appears whole or not at all: a stage writes below
``RUN/stages/.work/`` (where a killed stage finds its own half-done work again) and is renamed into
place. Downstream hashes use the digest of a stage's output files, not its name, so that a change
that leaves the output as it was re-runs nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from collegium.atomic import atomic_path, is_disk_full
from collegium.digest import digest_json, digest_path
from collegium.errors import CollegiumError, RunError
from collegium.pipeline.progress import Progress

UNKNOWN = "unknown"
"""Digest of an output that a dry run did not make."""


@dataclass(frozen=True)
class Output:
    """A finished stage: where its files are, their digest, and its machine-readable summary."""

    stage: str
    path: Path
    digest: str
    summary: dict[str, Any]
    kept: bool


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


class Store:
    """The stages of one run directory.

    Args:
        root: the run directory; made if absent.
        recipe: name of the recipe; a directory that another recipe made is refused.
        progress: told about every stage.
        force: run stages again although their outputs are there.
        dry_run: run nothing, only tell what would run.
        claim: take the directory for this process; a worker of a process that has done so does not.

    Raises:
        RunError: the directory belongs to another recipe, is no run directory, or is in use.
    """

    def __init__(
        self,
        root: Path,
        recipe: str,
        progress: Progress,
        *,
        force: bool = False,
        dry_run: bool = False,
        claim: bool = True,
    ) -> None:
        self.root = root
        self.recipe = recipe
        self.progress = progress
        self.force = force
        self.dry_run = dry_run
        self._done: dict[str, Output] = {}
        self._elsewhere: set[str] = set()
        self._lock: IO[str] | None = None
        if claim:
            self._claim()

    def _claim(self) -> None:
        marker = self.root / "run.json"
        if self.root.exists() and not self.root.is_dir():
            raise RunError(f"run directory {self.root}: is a file; choose another with --run")
        if marker.exists():
            try:
                owner = json.loads(marker.read_text("utf-8"))["recipe"]
            except (ValueError, KeyError, TypeError):
                raise RunError(
                    f"{marker}: damaged; remove it to claim the directory again"
                ) from None
            if owner != self.recipe:
                raise RunError(
                    f"run directory {self.root}: made by recipe {owner!r}, not {self.recipe!r}; "
                    "choose another with --run"
                )
        elif self.root.is_dir() and any(self.root.iterdir()):
            raise RunError(
                f"run directory {self.root}: not empty and not made by a run; choose another "
                "with --run"
            )
        if self.dry_run:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = (self.root / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise RunError(f"run directory {self.root}: in use by another process") from None
        except OSError as error:
            raise RunError(f"run directory {self.root}: {error.strerror}") from None
        if not marker.exists():
            self.guarded("the run directory", lambda: write_json(marker, {"recipe": self.recipe}))

    def made_elsewhere(self, name: str) -> None:
        """Note that a worker of this run has just made an output."""
        self._elsewhere.add(name)

    def outputs(self) -> list[Output]:
        """Return the outputs of all stages asked for, in order."""
        return list(self._done.values())

    def close(self) -> None:
        """Release the run directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def stage(
        self,
        stage: str,
        *,
        version: int,
        options: Mapping[str, Any],
        inputs: Mapping[str, str],
        produce: Callable[[Path], dict[str, Any]],
        label: str = "",
    ) -> Output:
        """Return the output of a stage, running `produce` unless it is there already.

        Args:
            stage: its name.
            version: of its output format; part of the hash.
            options: the part of the recipe that it depends on.
            inputs: name to digest of everything that it reads.
            produce: writes the files into the given directory and returns the summary. The
                directory may hold what an interrupted `produce` left there.
            label: shown to the user beside the name.

        Raises:
            RunError: the disk is full; earlier outputs stay as they were.
        """
        key = {"stage": stage, "version": version, "options": dict(options), "inputs": dict(inputs)}
        name = f"{stage}-{digest_json(key)[:12]}"
        if name in self._done:
            return self._done[name]
        final = self.root / "stages" / name
        if UNKNOWN in inputs.values():
            output = Output(stage, final, UNKNOWN, {}, False)
        elif (found := self._read(stage, final)) is not None and (
            not self.force or name in self._elsewhere
        ):
            output = replace(found, kept=name not in self._elsewhere)
        elif self.dry_run:
            output = Output(stage, final, UNKNOWN, {}, False)
        else:
            output = self._make(stage, final, key, produce, label)
        if output.kept or self.dry_run:
            self.progress.skipped(stage, label, "kept" if output.kept else "would run", final)
        self._done[name] = output
        return output

    def _read(self, stage: str, final: Path) -> Output | None:
        try:
            record = json.loads((final / "stage.json").read_text("utf-8"))
            return Output(stage, final, record["digest"], record["summary"], True)
        except (OSError, ValueError, KeyError):
            return None

    def _make(
        self,
        stage: str,
        final: Path,
        key: dict[str, Any],
        produce: Callable[[Path], dict[str, Any]],
        label: str,
    ) -> Output:
        work = final.parent / ".work" / final.name
        started = time.monotonic()
        self.progress.started(stage, label)

        def make() -> Output:
            work.mkdir(parents=True, exist_ok=True)
            summary = produce(work)
            record = {
                "key": key,
                "digest": digest_path(work, leave_out=("stage.json",)),
                "summary": summary,
                "seconds": round(time.monotonic() - started, 2),
            }
            write_json(work / "stage.json", record)
            if final.exists():
                shutil.rmtree(final)
            os.replace(work, final)
            return Output(stage, final, record["digest"], summary, False)

        output = self.guarded(f"stage {stage}", make)
        self.progress.finished(stage, label, time.monotonic() - started, output.summary)
        return output

    def guarded(self, what: str, action: Callable[[], Any]) -> Any:
        """Return `action()`, a full disk being an error that says so.

        Raises:
            RunError: no space was left; names `what` was being written.
        """
        try:
            return action()
        except CollegiumError:
            raise
        except Exception as error:
            if not is_disk_full(error):
                raise
            free = shutil.disk_usage(self.root).free >> 20
            raise RunError(
                f"{what}: no space left on the disk of {self.root} ({free} MiB free). Earlier "
                "results are intact; free some space or choose another place with --run, and "
                "start again."
            ) from error
