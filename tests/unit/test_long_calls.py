"""Long calls: threads, forked children, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from collegium import Tokenizer


@pytest.fixture(scope="module")
def path(tokenizer_file: Callable[[str], Path]) -> Path:
    return tokenizer_file("gpt2")


def python(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=240,
        env={**os.environ, **environment},
    )  # fmt: skip


INTERRUPTED = """
    import os, signal, sys, threading, time
    from collegium import Tokenizer
    # Whoever starts the tests in the background makes them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tokenizer = Tokenizer.from_file(sys.argv[1])
    slow = sys.argv[2] == "tokenizers"
    if slow:
        tokenizer = tokenizer.with_fallback()
    texts = ["%d words and words, " % i * 50 for i in range(2000)]
    def press():
        time.sleep(0.5 if slow else 0.1)
        press.at = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)
    # Work for minutes on one engine, for seconds on the other, if nothing ends it.
    column = [text for text in texts for _ in range(80 if slow else 800)]
    threading.Thread(target=press).start()
    try:
        tokenizer.encode_batch(column, byte_lengths=True)
    except KeyboardInterrupt:
        print("interrupted after", time.perf_counter() - press.at)
    print(len(tokenizer.encode_batch(["still works"])))
"""


@pytest.mark.parametrize("engine", ["native", "tokenizers"])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_ctrl_c_ends_a_long_call(path: Path, threads: str, engine: str) -> None:
    done = python(INTERRUPTED, path, engine, COLLEGIUM_NUM_THREADS=threads)
    lines = done.stdout.splitlines()
    assert lines and lines[0].startswith("interrupted after"), done.stdout + done.stderr
    # A second at most where the machine is quiet.
    assert float(lines[0].split()[-1]) < 20
    assert lines[1] == "1"


def test_a_handler_of_the_callers_own_is_run(path: Path) -> None:
    tokenizer = Tokenizer.from_file(path)
    seen: list[int] = []
    kept = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        texts = ["some words, " * 40] * 3000
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert len(tokenizer.encode_batch(texts)) == 3000
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, kept)
    assert seen == [signal.SIGUSR1]


def test_threads_of_the_caller_share_a_tokenizer(path: Path) -> None:
    tokenizer = Tokenizer.from_file(path)
    texts = [f"text {i} of many, with words {i * i}" for i in range(4000)]
    expected = tokenizer.encode_batch(texts, byte_lengths=True)
    found: list[object] = []

    def work() -> None:
        encoded = tokenizer.encode_batch(texts, byte_lengths=True)
        same = (encoded.ids == expected.ids).all() and (encoded.offsets == expected.offsets).all()
        found.append(bool(same))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [True] * 4


FORKED = """
    import sys, warnings
    from pathlib import Path
    import torch
    from torch.utils.data import DataLoader, Dataset
    from collegium import Tokenizer
    # Python warns of any fork where threads run; that these are safe is what is tested.
    warnings.filterwarnings("ignore", message=".*fork.*")
    tokenizer = Tokenizer.from_file(sys.argv[1])
    texts = [f"text {i} " + "of many words " * 50 for i in range(4000)]
    whole = tokenizer.encode_batch(texts)  # starts the pool
    class Rows(Dataset):
        def __len__(self):
            return 8
        def __getitem__(self, part):
            encoded = tokenizer.encode_batch(texts[part * 500 : (part + 1) * 500])
            return torch.from_numpy(encoded.ids.astype("int64"))
    loader = DataLoader(Rows(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    ids = torch.cat(list(loader)).tolist()
    assert ids == whole.ids.tolist()
    assert tokenizer.encode_batch(texts).ids.tolist() == ids
    print("same")
"""


def test_workers_of_a_data_loader(path: Path) -> None:
    done = python(FORKED, path, COLLEGIUM_NUM_THREADS="2")
    assert done.stdout.strip() == "same", done.stdout + done.stderr


@pytest.mark.parametrize("setting", ["0", "many"])
def test_impossible_numbers_of_threads(path: Path, setting: str) -> None:
    code = """
        import sys
        from collegium import Tokenizer, UserError
        tokenizer = Tokenizer.from_file(sys.argv[1])
        try:
            tokenizer.encode_batch(["some words " * 9000] * 40)
        except UserError as error:
            print(error)
    """
    done = python(code, path, COLLEGIUM_NUM_THREADS=setting)
    assert "COLLEGIUM_NUM_THREADS" in done.stdout, done.stdout + done.stderr
    assert "1 to 1024" in done.stdout
