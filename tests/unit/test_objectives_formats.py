"""Prompt formats: published form, shareable form, markers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from collegium.errors import ArgumentError
from collegium.objectives.formats import PromptFormat, default_markers

ONE = ("label", "rationale:palm")
TWO = ("label", "rationale:flan", "rationale:llama")


def test_published_markers_stand_before_the_question() -> None:
    form = PromptFormat().resolve(ONE)
    assert form.prompt("label", "How many ?") == "predict: How many ?"
    assert form.prompt("rationale:palm", " How many ? ") == "explain: How many ?"


def test_several_teachers_have_markers_of_their_own() -> None:
    assert default_markers(TWO) == {
        "label": "predict:",
        "rationale:flan": "explain flan:",
        "rationale:llama": "explain llama:",
    }


def test_after_form_shares_the_question() -> None:
    form = PromptFormat(marker_position="after").resolve(TWO)
    texts = [form.prompt(name, "How many ?") for name in TWO]
    assert texts[0] == "How many ? predict:"
    assert all(text.startswith("How many ? ") for text in texts)


def test_decoder_prompts_end_at_a_boundary() -> None:
    for position in ("before", "after"):
        form = PromptFormat(marker_position=position)  # type: ignore[arg-type]
        assert form.prompt("label", "Q ?", "decoder").endswith("\n")
        assert not form.prompt("label", "Q ?", "encoder-decoder").endswith("\n")


def test_markers_are_whole_words_for_a_whitespace_tokenizer() -> None:
    form = PromptFormat(markers={"label": "[label]"})
    assert "[label]" in form.prompt("label", "a b c", "decoder").split()


def test_given_markers_are_kept_and_checked() -> None:
    form = PromptFormat(markers={"rationale:palm": "why:"}).resolve(ONE)
    assert form.markers == {"label": "predict:", "rationale:palm": "why:"}
    assert PromptFormat.model_validate(form.model_dump()) == form
    with pytest.raises(ValidationError, match="without spaces around it"):
        PromptFormat(markers={"label": " predict:"})
    with pytest.raises(ValidationError, match="several objectives"):
        PromptFormat(markers={"label": "x:", "rationale:a": "x:"})
    with pytest.raises(ArgumentError, match=r"known: label, rationale:palm"):
        form.prompt("rationale:flan", "Q")
    with pytest.raises(ArgumentError, match="expected 'label' or 'rationale:<teacher>'"):
        PromptFormat().resolve(["labels"])
