"""What a run tells its user while it works: rich on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import IO, Any


class Progress:
    """Plain lines, one per event; at most one line a `interval` seconds for steps of a stage."""

    def __init__(self, stream: IO[str] | None = None, *, interval: float = 10.0) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.interval = interval
        self._last = 0.0

    def line(self, text: str) -> None:
        """Write one line."""
        print(text, file=self.stream, flush=True)

    def started(self, stage: str, label: str) -> None:
        """Tell that a stage begins."""
        self._last = time.monotonic()
        self.line(f"{_name(stage, label)} ...")

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell how far the running stage is."""
        now = time.monotonic()
        if now - self._last >= self.interval or done == total:
            self._last = now
            self.line(f"  {stage} {done}/{total}{'  ' + note if note else ''}")

    def finished(self, stage: str, label: str, seconds: float, summary: dict[str, Any]) -> None:
        """Tell that a stage is done."""
        note = summary.get("note", "")
        self.line(f"{_name(stage, label)} done in {seconds:.1f} s{'  ' + note if note else ''}")

    def skipped(self, stage: str, label: str, state: str, path: Path) -> None:
        """Tell that a stage was not run, and why."""
        self.line(f"{_name(stage, label)} {state} ({path.name})")

    def close(self) -> None:
        """Leave the terminal as it was."""


class RichProgress(Progress):
    """A live line for the running stage, and finished stages above it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr, interval=0.1)
        from rich.console import Console

        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._title = ""

    def line(self, text: str) -> None:
        """Write one line above the live one."""
        self._console.print(text, highlight=False, markup=False)

    def started(self, stage: str, label: str) -> None:
        """Show the stage in the live line."""
        self._title = _name(stage, label)
        self._status.update(self._title)
        self._status.start()

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Update the live line."""
        self._status.update(f"{self._title}  {done}/{total}  {note}")

    def finished(self, stage: str, label: str, seconds: float, summary: dict[str, Any]) -> None:
        """Replace the live line by the finished stage."""
        self._status.stop()
        super().finished(stage, label, seconds, summary)

    def close(self) -> None:
        """Stop the live line."""
        self._status.stop()


def choose_progress(*, quiet: bool = False) -> Progress:
    """Return rich progress on a terminal, plain lines elsewhere, nothing when `quiet`."""
    if quiet:
        return Silent()
    return RichProgress() if sys.stderr.isatty() else Progress()


class Silent(Progress):
    """Tell nothing."""

    def line(self, text: str) -> None:
        """Drop the line."""


def _name(stage: str, label: str) -> str:
    return f"{stage} [{label}]" if label else stage
