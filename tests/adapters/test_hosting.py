"""What a host tells of an adapter that was written wrong, before anybody asks it anything."""

from __future__ import annotations

from typing import Any

import pytest

from echelon.adapters import BatchAdapter, Call, CallSupport, Card, Kind, NoSettings
from echelon.adapters.errors import AdapterLoadError
from echelon.adapters.hosting import Plan, open_adapter

LANGUAGE = CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,))
PLAN = Plan({}, ".", "settings")


def says(card: Any) -> type[BatchAdapter[NoSettings]]:
    class Says(BatchAdapter[NoSettings]):
        def card(self) -> Card:
            return card  # type: ignore[no-any-return]  # the point of it

        def language(self, requests: Any) -> Any:
            return [None for _ in requests]

    return Says


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"version": "1"}, "it gave dict, not a Card"),
        (Card(1, (LANGUAGE,)), "version is 1, not text"),  # type: ignore[arg-type]  # as are all of these
        (Card("1", LANGUAGE), "calls is no tuple of CallSupport; one alone is (CallSupport(...),)"),  # type: ignore[arg-type]
        (Card("1", ("language",)), "calls is no tuple of CallSupport"),  # type: ignore[arg-type]
        (Card("1", (CallSupport("language", (), (Kind.TEXT,)),)), "'language' is no Call, such as Call.LANGUAGE"),  # type: ignore[arg-type]
        (Card("1", (CallSupport(Call.LANGUAGE, Kind.TEXT, (Kind.TEXT,)),)), "input_kinds of language is no tuple of"),  # type: ignore[arg-type]
        (Card("1", (CallSupport(Call.LANGUAGE, (), ("text",)),)), "output_kinds of language is no tuple of Kind"),  # type: ignore[arg-type]
    ],
)
def test_a_card_that_is_none_is_told_with_what_it_should_be(card: Any, words: str) -> None:
    with pytest.raises(AdapterLoadError) as caught:
        open_adapter(says(card), PLAN)
    assert str(caught.value).startswith("the adapter's card(): ")
    assert words in str(caught.value)


def test_a_batch_adapter_with_an_async_method_is_told_what_to_derive_from() -> None:
    class Mixed(BatchAdapter[NoSettings]):
        def card(self) -> Card:
            return Card("1", (LANGUAGE,))

        async def language(self, requests: Any) -> Any:  # type: ignore[override]  # the point of it
            return [None for _ in requests]

    with pytest.raises(AdapterLoadError, match=r"language is async, .* derive from AsyncAdapter"):
        open_adapter(Mixed, PLAN)
