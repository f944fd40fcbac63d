"""The recipes of examples/recipes that this adapter serves, on their architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer
from echelon.adapters.settings import load, read_yaml
from echelon.adapters.transformers import Transformers, TransformersSettings

# PaliGemma's processor hands numpy a tensor in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPES = Path(__file__).parents[3] / "examples" / "recipes"
OURS = [recipe for recipe in read_yaml(RECIPES / "recipes.yaml")["recipes"] if recipe["adapter"] == "transformers"]


@pytest.mark.parametrize("recipe", OURS, ids=[recipe["system"] for recipe in OURS])
def test_the_settings_give_the_promised_card_and_answers(
    checkpoint: Callable[[str], Path], recipe: dict[str, Any]
) -> None:
    values = read_yaml(RECIPES / recipe["settings"])
    del values["hub"]
    # The case that ran the architecture is named after the tiny checkpoint and a kind.
    values["folder"] = str(checkpoint(recipe["test"].rpartition("[")[2].rpartition("-")[0]))
    values["drawing"] = {**values.get("drawing", {}), "pixels": 1024}
    model = Transformers()
    model.open(load(TransformersSettings, values))
    card = model.card()
    answers = [getattr(model, support.call)([model.probe(support.call)])[0] for support in card.calls]
    model.close()
    assert card.description == recipe["architecture"]
    assert [support.call for support in card.calls] == list(recipe["supports"])
    for support, answer in zip(card.calls, answers, strict=True):
        promised = recipe["supports"][support.call]
        assert (list(support.input_kinds), list(support.output_kinds)) == (promised["takes"], promised["gives"])
        assert isinstance(answer, Answer)
        assert {part.kind for part in answer.parts} <= set(support.output_kinds)
