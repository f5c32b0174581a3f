"""The turn of a chat template that a student's prompts stand in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from collegium.errors import CheckpointError, DataError

_QUESTION = "How many apples are 2 & 3?"
_OTHER = "A <b>'quoted'</b> \"line\"\n\nand {{ another }} one"
_ANSWER = "There are 5 of them."


class ChatTurn(BaseModel):
    """What a chat template writes around the user's text, up to where the answer begins.

    Kept as text, so that a student is asked as it was taught even where its template asks for the
    date. The prompt holds its own special tokens: no BOS is put in front of it. An answer ends with
    the tokenizer's EOS, as the template ends it; what the template writes behind that (a newline)
    is neither learnt nor read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str
    template: str
    """SHA-256 of the template."""

    @property
    def around(self) -> tuple[str, str]:
        """Text before and after the user's."""
        return self.before, self.after


def chat_turn(tokenizer: Any) -> ChatTurn:
    """Return the turn that a transformers tokenizer's chat template makes of a user's message.

    Raises:
        CheckpointError: there is no template, it fails, it alters the user's text, or it does not
            end an answer with the tokenizer's EOS.
    """
    name = getattr(tokenizer, "name_or_path", "") or "the student's tokenizer"
    template = getattr(tokenizer, "chat_template", None)
    if not isinstance(template, str):
        found = "no chat template" if template is None else "several chat templates"
        raise CheckpointError(f"{name}: {found}; set pack.chat_template: false")
    rendered = _render(tokenizer, name, _QUESTION)
    if rendered.count(_QUESTION) != 1:
        raise CheckpointError(
            f"{name}: its chat template does not write the user's text once, as it is; "
            "set pack.chat_template: false"
        )
    before, after = rendered.split(_QUESTION)
    turn = ChatTurn(
        before=before, after=after, template=hashlib.sha256(template.encode()).hexdigest()
    )
    check_turn(tokenizer, turn, [("", _OTHER)])
    answered = _render(tokenizer, name, _QUESTION, _ANSWER)
    eos = getattr(tokenizer, "eos_token", None)
    end = answered.rpartition(_ANSWER)[2]
    if not eos or not end.startswith(str(eos)):
        raise CheckpointError(
            f"{name}: its chat template ends an answer with {end!r}, its EOS token is {eos!r}: "
            "the student would not stop. Set eos_token in tokenizer_config.json to the former, or "
            "pack.chat_template: false"
        )
    return turn


def check_turn(tokenizer: Any, turn: ChatTurn, prompts: Iterable[tuple[str, str]]) -> None:
    """Compare `turn` around each text with what the template itself makes of it.

    Args:
        tokenizer: whose template it is.
        turn: of `chat_turn`.
        prompts: (name of the example, user's text).

    Raises:
        DataError: the template alters a text; its example is named.
    """
    for name, text in prompts:
        rendered = _render(tokenizer, "the student's tokenizer", text)
        if rendered != f"{turn.before}{text}{turn.after}":
            raise DataError(
                f"{f'example {name!r}: ' if name else ''}the chat template alters the prompt "
                f"{text[:60]!r} beyond what stands around it; set pack.chat_template: false"
            )


def _render(tokenizer: Any, name: str, question: str, answer: str | None = None) -> str:
    messages = [{"role": "user", "content": question}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=answer is None
        )
    except Exception as error:  # whatever a template raises
        raise CheckpointError(
            f"{name}: its chat template fails on a user's message: {error}"
        ) from error
