"""Checkpoints that draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from echelon.adapters import Answer, Call, CallSupport, Image, InvalidInputError, Kind, Request, Sampling, Text
from echelon.adapters.errors import BudgetExceededError
from echelon.adapters.transformers import Transformers
from echelon.adapters.transformers.settings import Drawing

Opened = Callable[..., Transformers]
SMALL = Drawing(pixels=32 * 32)
PAINTERS = [("janus", 16), ("emu3", 20)]


def asked(text: str = "a cat", seed: int | None = 0, **more: Any) -> Request:
    # Evaluations ask for temperature 0, and mean the text.
    return Request(Call.GENERATE, "Draw.", (Text(text),), sampling=Sampling(seed, 0.0), **more)


def image_of(returned: Any) -> Image:
    assert isinstance(returned, Answer), returned
    (part,) = returned.parts
    assert isinstance(part, Image)
    return part


@pytest.mark.parametrize(("name", "tokens"), PAINTERS)
def test_an_image_depends_on_prompt_and_seed_and_not_on_the_batch(opened: Opened, name: str, tokens: int) -> None:
    model = opened(name, drawing=SMALL)
    assert CallSupport(Call.GENERATE, (Kind.TEXT,), (Kind.IMAGE,)) in model.card().calls
    requests = [asked(), asked(seed=1), asked("a much longer prompt", seed=0)]
    together = model.generate(requests)
    assert together == [model.generate([request])[0] for request in requests]
    assert len({image_of(returned).data for returned in together}) == 3
    assert {returned.usage.output_token_count for returned in together if isinstance(returned, Answer)} == {tokens}


@pytest.mark.parametrize("name", ["janus", "emu3"])
def test_without_a_seed_images_differ(opened: Opened, name: str) -> None:
    one, other = opened(name, drawing=SMALL).generate([asked(seed=None), asked(seed=None)])
    assert image_of(one) != image_of(other)


@pytest.mark.parametrize("name", ["janus", "emu3"])
def test_guidance_pulls_towards_the_prompt(opened: Opened, name: str) -> None:
    weak, strong = (
        image_of(opened(name, drawing=Drawing(pixels=32 * 32, guidance=guidance)).generate([asked()])[0])
        for guidance in (1.01, 20.0)
    )
    assert weak != strong


def test_an_aspect_can_be_chosen_where_the_model_leaves_it_open(opened: Opened) -> None:
    image = image_of(opened("emu3", drawing=Drawing(pixels=32 * 32, aspect="4:1")).generate([asked()])[0])
    assert (image.width, image.height) == (64, 16)


@pytest.mark.parametrize("name", ["janus", "emu3"])
def test_who_does_not_wait_gets_no_image_and_disturbs_nobody(opened: Opened, name: str) -> None:
    model = opened(name, drawing=SMALL)
    late, kept = asked(deadline=time.monotonic() - 1), asked()
    assert model.generate([late, kept])[1] == model.generate([kept])[0]
    for returned in (model.generate([late, kept])[0], model.generate([late])[0]):
        assert isinstance(returned, BudgetExceededError)


def test_a_prompt_that_is_too_long_fails_alone(opened: Opened) -> None:
    good, bad = opened("janus").generate([asked(), asked("word " * 500)])
    assert image_of(good)
    assert isinstance(bad, InvalidInputError)
