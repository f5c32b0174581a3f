"""`FileTask`: a task whose questions come from a folder with a file per split, or from one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from collegium.errors import DataError
from collegium.example import Example
from collegium.tasks.base import Recording, Splits, Task
from collegium.tasks.sources import SourceRow, carve, check_exists, read_rows, split_file


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
        if data.is_file():
            return {"all": data}
        found = {
            "train": split_file(data, self.train_names),
            "validation": split_file(data, self.validation_names, required=False),
            "test": split_file(data, self.test_names),
        }
        if found["validation"] == found["train"]:
            del found["validation"]
        return {split: path for split, path in found.items() if path is not None}

    def source_files(self) -> Sequence[Path]:
        """Return the files of all splits."""
        return list(self.files().values())

    def load(self) -> Splits:
        """Read all splits.

        Raises:
            DataError: a file is missing, empty or malformed, or an id occurs twice.
        """
        files = self.files()
        seen: dict[str, str] = {}
        if "all" in files:
            rows = list(read_rows(files["all"]))
            if len(rows) < 3:
                raise DataError(
                    f"{files['all']}: a single file is cut into three splits and needs at least "
                    f"3 rows, found {len(rows)}"
                )
            test, rest = carve(len(rows))
            return {
                **self._train_and_validation([rows[i] for i in rest], files["all"], seen),
                "test": self._examples([rows[i] for i in test], "test", seen),
            }
        train = list(read_rows(files["train"]))
        if "validation" in files:
            splits = {
                "train": self._examples(train, "train", seen),
                "validation": self._examples(read_rows(files["validation"]), "validation", seen),
            }
        else:
            splits = self._train_and_validation(train, files["train"], seen)
        return {**splits, "test": self._examples(read_rows(files["test"]), "test", seen)}

    def _train_and_validation(
        self, rows: Sequence[SourceRow], path: Path, seen: dict[str, str]
    ) -> dict[str, Sequence[Example]]:
        if len(rows) < 2:
            raise DataError(
                f"{path}: without a validation file 10 % of the training rows are held out, which "
                f"needs at least 2 rows, found {len(rows)}"
            )
        validation, train = carve(len(rows))
        return {
            "train": self._examples([rows[i] for i in train], "train", seen),
            "validation": self._examples([rows[i] for i in validation], "validation", seen),
        }

    def _examples(
        self, rows: Iterable[SourceRow], split: str, seen: dict[str, str]
    ) -> list[Example]:
        out = []
        for row in rows:
            example = self.to_example(row, split)
            where = f"{row.path}, line {row.line}"
            if example.id in seen:
                raise DataError(
                    f"{where}: the id {example.id!r} was there before ({seen[example.id]}); "
                    "ids must be unique over all splits"
                )
            seen[example.id] = where
            out.append(example)
        return out

    def recordings(self, path: Path | None = None) -> Iterator[Recording]:
        """Yield recorded teacher outputs from `path` (file or folder; default: the task's data)."""
        files = type(self)(path, self.options).files() if path is not None else self.files()
        for file in files.values():
            for row in read_rows(file):
                yield from self.row_recordings(row)
