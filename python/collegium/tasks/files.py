"""`FileTask`: a task whose questions come from a folder with a file per split, or from one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from collegium.errors import DataError
from collegium.example import Example
from collegium.tasks.base import Recording, Splits, Task
from collegium.tasks.sources import SourceRow, carve, check_exists, read_rows, split_file
from collegium.validation import explain


class FileTask(Task):
    """Reads ``train``, ``valid`` and ``test`` files of a folder.

    Without a validation file, 10 % of the training rows are held out for model selection (seed 0).
    A single file is cut the same way into 10 % test, then 10 % of the rest validation.
    """

    train_names: ClassVar[tuple[str, ...]] = ("train",)
    validation_names: ClassVar[tuple[str, ...]] = ("valid", "validation", "dev")
    test_names: ClassVar[tuple[str, ...]] = ("test",)

    @abstractmethod
    def to_example(self, row: SourceRow, split: str) -> Example:
        """Return the example of one row.

        Raises:
            DataError: a field is missing or of another type.
        """

    def row_recordings(self, row: SourceRow) -> Iterable[Recording]:
        """Return the recorded teacher outputs that a row holds."""
        return ()

    def files(self) -> dict[str, Path]:
        """Return split to file; a single file is under ``all``.

        Raises:
            DataError: the data, or the training or test file, is missing.
        """
        data = check_exists(self.data, self.name)
        return {"all": data} if data.is_file() else self.found_in(data)

    def found_in(self, folder: Path, known: Mapping[str, Path] | None = None) -> dict[str, Path]:
        """Return split to file of a folder, `known` ones as they are.

        Raises:
            DataError: the training or test file is missing.
        """
        found = dict(known or {})
        names = {"train": self.train_names, "validation": self.validation_names}
        for split, stems in {**names, "test": self.test_names}.items():
            if split not in found:
                path = split_file(folder, stems, required=split != "validation")
                if path is not None and path not in found.values():
                    found[split] = path
        return found

    def source_files(self) -> Sequence[Path]:
        """Return the files of all splits."""
        return list(self.files().values())

    def load(self) -> Splits:
        """Read all splits.

        Raises:
            DataError: a file is missing, empty or malformed, or an id occurs twice.
        """
        seen: dict[str, str] = {}
        splits: dict[str, list[Example]] = {}
        for split, path in self.files().items():
            splits[split] = self._examples(path, split, seen)
        if "all" in splits:
            splits["test"], splits["train"] = _hold_out(splits.pop("all"))
        if "validation" not in splits:
            splits["validation"], splits["train"] = _hold_out(splits["train"])
        empty = [split for split, examples in splits.items() if not examples]
        if empty:
            raise DataError(
                f"{self.data}: too few rows to hold out 10 % of them; nothing is left for "
                f"{' and '.join(empty)}"
            )
        return {
            split: [example.model_copy(update={"split": split}) for example in splits[split]]
            for split in ("train", "validation", "test")
        }

    def _examples(self, path: Path, split: str, seen: dict[str, str]) -> list[Example]:
        out = []
        for row in read_rows(path):
            where = f"{row.path}, line {row.line}"
            try:
                example = self.to_example(row, split)
            except ValidationError as error:
                raise DataError(f"{where}: {explain(error, Example)}") from None
            if example.id in seen:
                raise DataError(
                    f"{where}: the id {example.id!r} was there before ({seen[example.id]}); "
                    "ids must be unique over all splits"
                )
            seen[example.id] = where
            out.append(example)
        return out

    def recordings(self, path: Path | None = None) -> Iterator[Recording]:
        """Yield recorded teacher outputs from `path` (file or folder; default: the task's data).

        A folder needs a file of at least one split.

        Raises:
            DataError: there is none, or a file is malformed.
        """
        for file in self.files().values() if path is None else self._recording_files(path):
            for row in read_rows(file):
                yield from self.row_recordings(row)

    def _recording_files(self, path: Path) -> list[Path]:
        if not path.exists():
            raise DataError(f"recordings: {path} does not exist")
        if path.is_file():
            return [path]
        splits = (self.train_names, self.validation_names, self.test_names)
        found = dict.fromkeys(split_file(path, names, required=False) for names in splits)
        files = [file for file in found if file is not None]
        if not files:
            split_file(path, self.train_names)
        return files


def _hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    held_out, rest = carve(len(examples))
    return [examples[i] for i in held_out], [examples[i] for i in rest]
