"""The command line as a user meets it: a small run from end to end, then every kind of mistake."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from collegium.cli.main import entry

TOY = [
    "-o", "task.options={train: 48, validation: 16, test: 24}",
    "-o", "student.config=llama_tiny",
    "-o", "student.tokenizer={train: word_level}",
    "-o", "train.max_steps=6",
    "-o", "train.batch_size=8",
    "-o", "evaluate.max_rationale_tokens=24",
]  # fmt: skip


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def collegium(*arguments: str, cwd: Path) -> Done:
    """Run the command line in this process: importing torch anew for each call takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    before, argv = Path.cwd(), sys.argv
    code: object = 0
    try:
        os.chdir(cwd)
        sys.argv = ["collegium", *arguments]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            entry()
    except SystemExit as stop:
        code = stop.code
    finally:
        os.chdir(before)
        sys.argv = argv
    return Done(int(code or 0), out.getvalue(), err.getvalue())  # type: ignore[call-overload]


def refused(*arguments: str, cwd: Path) -> str:
    """Run a command that must end as the user's mistake; return its one paragraph."""
    done = collegium(*arguments, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    paragraph = done.stderr.strip().split("\nerror: ")[-1].removeprefix("error: ")
    assert "\n\n" not in paragraph
    return " ".join(paragraph.split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    cwd = tmp_path_factory.mktemp("finished")
    done = collegium("run", "tinyllm", *TOY, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return cwd, json.loads(done.stdout)


def stages(outcome: dict) -> dict[str, bool]:
    return {s["stage"]: s["kept"] for s in outcome["stages"]}


def test_a_run_goes_through_every_stage(finished: tuple[Path, dict]) -> None:
    cwd, outcome = finished
    assert set(stages(outcome)) == {
        "annotate", "clean", "tokenizer", "pack", "train", "evaluate",
    }  # fmt: skip
    assert (cwd / "runs" / "tinyllm" / "report.html").stat().st_size > 1000
    [student] = outcome["students"].values()
    assert (cwd / student / "model.safetensors").is_file()
    assert (cwd / student / "README.md").is_file()


def test_the_same_run_again_runs_nothing(finished: tuple[Path, dict]) -> None:
    cwd, _ = finished
    again = collegium("run", "tinyllm", *TOY, "--json", cwd=cwd)
    assert again.returncode == 0, again.stderr[-2000:]
    assert all(stages(json.loads(again.stdout)).values())


def test_a_change_runs_only_what_depends_on_it(finished: tuple[Path, dict]) -> None:
    cwd, _ = finished
    done = collegium("run", "tinyllm", *TOY, "-o", "train.learning_rate=1e-4", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    kept = stages(json.loads(done.stdout))
    assert [s for s, k in kept.items() if not k] == ["train", "evaluate"]


def test_dry_run_makes_nothing(tmp_path: Path) -> None:
    done = collegium("run", "tinyllm", *TOY, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "would run" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_the_student_answers_and_explains(finished: tuple[Path, dict]) -> None:
    cwd, outcome = finished
    [student] = outcome["students"].values()
    question = "Tom has 5 apples . buys 3 . loses 4 . how many apples ?"
    for command in ("predict", "explain"):
        done = collegium(command, student, "-q", question, cwd=cwd)
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["id"]


def test_plain_lines_in_a_pipe(finished: tuple[Path, dict]) -> None:
    cwd, _ = finished
    command = [sys.executable, "-c", "from collegium.cli.main import entry; entry()"]
    done = subprocess.run(
        [*command, "run", "tinyllm", *TOY], capture_output=True, text=True, cwd=cwd, check=True
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert "report.html" in done.stdout
    assert "kept" in done.stderr


@pytest.mark.parametrize(
    ("option", "parts"),
    [
        ("train.learning_rat=1", ("'train.learning_rat'", "'learning_rate'")),
        ("trian.max_steps=1", ("'trian'", "'train'")),
        ("train.max_steps=many", ("train.max_steps", "'many'")),
        ("task.options.trian=5", ("trian", "train")),
        ("task.name=wordproblem", ("'wordproblem'", "'wordproblems'")),
        ("train.objectives={rationale:equatoins: 1}", ("equatoins", "rationale:equations")),
        ("train.label_source=teacher:nobody", ("teacher:nobody", "teacher:equations")),
        ("train.distributions.teachers={nobody: 1}", ("nobody",)),
        ("student.config=llama_tinny", ("llama_tinny", "llama_tiny")),
        ("train.max_steps", ("key=value",)),
    ],
)
def test_a_wrong_key_or_value(option: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    message = refused("run", "tinyllm", "-o", option, cwd=tmp_path)
    assert all(part in message for part in parts), message
    assert not (tmp_path / "runs" / "tinyllm" / "stages").exists()


def test_an_unknown_recipe(tmp_path: Path) -> None:
    assert "'tinyllm'" in refused("run", "tinylm", cwd=tmp_path)


def test_a_run_directory_of_another_recipe(finished: tuple[Path, dict]) -> None:
    cwd, _ = finished
    message = refused("run", "standard_finetuning", "--run", "runs/tinyllm", cwd=cwd)
    assert "tinyllm" in message


def custom(tmp_path: Path, **columns: str) -> list[str]:
    return ["-o", "task.name=custom", "-o", f"task.data={tmp_path / 'data'}",
            "-o", f"task.options={{columns: {json.dumps(columns)}}}"]  # fmt: skip


def test_a_missing_column(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = [{"qestion": f"q{i}", "answer": str(i)} for i in range(30)]
    for split in ("train", "test"):
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    message = refused(
        "run", "standard_finetuning", *custom(tmp_path, question="question"), cwd=tmp_path
    )
    assert "train.jsonl" in message
    assert "'qestion'" in message


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("")
    (tmp_path / "data" / "test.jsonl").write_text("")
    message = refused("run", "standard_finetuning", *custom(tmp_path), cwd=tmp_path)
    assert "train.jsonl" in message
    assert "empty" in message


def test_truncated_parquet(finished: tuple[Path, dict], tmp_path: Path) -> None:
    cwd, outcome = finished
    [annotated] = [s["path"] for s in outcome["stages"] if s["stage"] == "annotate"]
    data = (cwd / annotated / "train.parquet").read_bytes()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").write_bytes(data[: len(data) // 2])
    (tmp_path / "data" / "test.parquet").write_bytes(data)
    message = refused("run", "standard_finetuning", *custom(tmp_path), cwd=tmp_path)
    assert "train.parquet" in message


def test_a_checkpoint_without_tokenizer(finished: tuple[Path, dict], tmp_path: Path) -> None:
    cwd, outcome = finished
    [student] = outcome["students"].values()
    copy = tmp_path / "student"
    shutil.copytree(cwd / student, copy)
    for file in copy.glob("tokenizer*"):
        file.unlink()
    message = refused("run", "tinyllm", "-o", f"student={copy}", cwd=tmp_path)
    assert "tokenizer.json" in message
    assert str(copy) in message
    assert "tokenizer" in refused("predict", str(copy), "-q", "x", cwd=tmp_path)


def test_a_full_disk_leaves_earlier_results(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        # Questions and rationales fit on it, a student and its optimizer do not.
        run = ("tinyllm", *TOY, "-o", "student.config=llama_mini", "--run", str(disk / "run"))
        assert collegium("pack", *run, cwd=tmp_path).returncode == 0
        before = {p: p.read_bytes() for p in disk.rglob("stages/*-*/*") if p.is_file()}
        message = refused("run", *run, cwd=tmp_path)
        assert "disk" in message
        assert "MB are free" in message
        assert before
        assert {p: p.read_bytes() for p in before} == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)
