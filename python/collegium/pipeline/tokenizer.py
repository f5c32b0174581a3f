"""Stage `tokenizer`: a small tokenizer trained on the task's own texts, never on its test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collegium.errors import RecipeError
from collegium.recipe import TokenizerTraining
from collegium.tasks.base import Task

VERSION = 1
SPECIAL = {
    "pad_token": "[pad]",
    "bos_token": "[bos]",
    "eos_token": "[eos]",
    "unk_token": "[unk]",
}


def train_tokenizer(
    task: Task,
    section: TokenizerTraining,
    extra: Sequence[str],
    work: Path,
    *,
    gold_visible: bool = True,
) -> dict[str, Any]:
    """Train a tokenizer and write a `from_pretrained` directory.

    ``word_level`` splits at white space, one id a word; ``byte_bpe`` is a byte-level BPE, which
    any text can be encoded with.

    Args:
        task: its `corpus`, and what was recorded for its training questions, is what the tokenizer
            sees.
        section: kind and vocabulary size.
        extra: further texts that must be representable, such as task markers.
        work: where the directory is written.
        gold_visible: whether gold answers may be among the texts.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = list(SPECIAL.values())
    kind = section.train
    if kind == "auto":
        kind = "word_level" if task.word_level else "byte_bpe"
    if kind == "word_level":
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIAL["unk_token"]))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore
        trainer: Any = trainers.WordLevelTrainer(
            vocab_size=section.vocab_size, special_tokens=special, show_progress=False
        )
    else:
        if section.vocab_size < 256 + len(special):
            raise RecipeError(
                f"student.tokenizer.vocab_size: byte_bpe needs at least {256 + len(special)}, "
                f"found {section.vocab_size}"
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
        tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore
        trainer = trainers.BpeTrainer(
            vocab_size=section.vocab_size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )

    def texts() -> Iterator[str]:
        yield from extra
        splits = dict(task.load())
        if not gold_visible:
            splits["train"] = [e.model_copy(update={"answer": None}) for e in splits["train"]]
        yield from task.corpus(splits)
        known = {example.id for example in splits["train"]}
        for recording in task.recordings():
            if recording.id in known and (gold_visible or not task.saw_gold(recording.teacher)):
                yield recording.text
                if recording.answer is not None:
                    yield recording.answer
                    yield task.conclusion(recording.answer)

    tokenizer.train_from_iterator(texts(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)
    fast.save_pretrained(work)
    return {"vocabulary": len(fast), "note": f"{len(fast)} tokens"}
