"""The models that come with Echelon."""

from __future__ import annotations

import re

import pytest

from echelon.adapters import Answer, Call, Request, Text
from echelon.adapters.baseline import Baseline, BaselineSettings, shipped
from echelon.adapters.controls.dispatcher import Dispatcher, DispatcherSettings
from echelon.adapters.errors import SettingsError
from echelon.adapters.registry import Registry


def test_it_is_installed_under_its_name() -> None:
    assert Registry.installed().load("baseline") is Baseline


@pytest.mark.parametrize("model", shipped())
def test_a_shipped_model_answers_every_call_of_its_card(model: str) -> None:
    adapter = Baseline()
    adapter.open(BaselineSettings(model=model))
    card = adapter.card()
    assert card.calls
    for support in card.calls:
        probe = adapter.probe(support.call)
        assert probe is not None
        (answer,) = adapter.comprehend([probe])
        assert isinstance(answer, Answer)
        assert answer.parts[0].kind in support.output_kinds


def test_generalists_and_specialists_are_shipped() -> None:
    generalists = {name for name in shipped() if "/" not in name}
    assert generalists == {"generalist-both", "generalist-comprehension", "generalist-generation"}
    assert all(name.startswith("specialists/") for name in set(shipped()) - generalists)


def test_an_unknown_model_is_told_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=re.escape("did you mean 'generalist-both'?")):
        Baseline().open(BaselineSettings(model="generalist-bothe"))
    with pytest.raises(SettingsError, match=re.escape("known: generalist-both, generalist-comprehension")):
        Baseline().open(BaselineSettings(model="?"))


def test_the_dispatcher_serves_the_shipped_specialists_by_default() -> None:
    dispatcher = Dispatcher()
    dispatcher.open(DispatcherSettings())
    outputs = {kind for support in dispatcher.card().calls for kind in support.output_kinds}
    assert len(outputs) > 5
    for support in dispatcher.card().calls:
        probe = dispatcher.probe(support.call)
        assert probe is not None
        assert isinstance(dispatcher.comprehend([probe])[0], Answer)


def test_a_deterministic_model_gives_the_same_bits_in_a_batch() -> None:
    adapter = Baseline()
    adapter.open(BaselineSettings(model="specialists/language-mood"))
    assert adapter.card().deterministic
    texts = ["What a dull, slow film", "I love it", "It was not bad at all", "Never again"] * 8
    requests = [Request(Call.LANGUAGE, "What does the writer think?", (Text(text),)) for text in texts]
    assert list(adapter.language(requests)) == [adapter.language([request])[0] for request in requests]
