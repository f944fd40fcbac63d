"""Which abilities an architecture has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from echelon.adapters.errors import SettingsError
from echelon.adapters.transformers.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.card import CallSupport
    from echelon.adapters.content import Kind
    from echelon.adapters.pytorch import Ceiling
    from echelon.adapters.transformers.ability import Ability
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings


def abilities_of(checkpoint: Checkpoint, settings: TransformersSettings, ceiling: Ceiling) -> Sequence[Ability]:
    """What the checkpoint can do; SettingsError where that is nothing we know."""
    if type(checkpoint.model).can_generate():
        return [Writer(checkpoint, settings, ceiling)]
    raise SettingsError(f"no call is answered by a {checkpoint.architecture}")


def narrowed(supports: Sequence[CallSupport], settings: TransformersSettings) -> list[CallSupport]:
    """The supports with no more kinds than the settings allow; SettingsError for a kind that none of them has."""
    for key, allowed in (("input_kinds", settings.input_kinds), ("output_kinds", settings.output_kinds)):
        there = {kind for support in supports for kind in getattr(support, key)}
        missing = [kind for kind in allowed or () if kind not in there]
        if missing:
            raise SettingsError(f"'{key}' lists {', '.join(missing)}; the checkpoint has {', '.join(sorted(there))}")
    kept = [
        replace(
            support,
            input_kinds=_both(support.input_kinds, settings.input_kinds),
            output_kinds=_both(support.output_kinds, settings.output_kinds),
        )
        for support in supports
    ]
    return [support for support in kept if support.input_kinds and support.output_kinds]


def _both(there: tuple[Kind, ...], allowed: tuple[Kind, ...] | None) -> tuple[Kind, ...]:
    return there if allowed is None else tuple(kind for kind in there if kind in allowed)
