"""What a host does with an adapter's class, whichever process it runs in: opens it, describes it, asks it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.calls import Call
from echelon.adapters.card import CallSupport, Card
from echelon.adapters.content import Kind
from echelon.adapters.errors import AdapterLoadError, OutputInvalidError
from echelon.adapters.identity import Identity
from echelon.adapters.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from echelon.adapters.adapter import AsyncAdapter
    from echelon.adapters.calls import Request, Returned
    from echelon.adapters.registry import Entry


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of an adapter as a person wrote them; faults are told with `where` they stand."""

    values: Mapping[str, Any]
    folder: str
    where: str
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that the same person set for the adapter's process."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an adapter once it is open."""

    card: Card
    batches: bool
    """Whether it takes several requests at once, or one at a time and many of them."""
    streams: tuple[Call, ...] = ()
    """The calls whose answers it can give piece by piece."""
    probes: tuple[Request, ...] = ()
    """A typical request of each call, as far as the adapter has any."""
    identity: Identity = Identity()  # noqa: RUF009  (frozen)
    """Empty where an older SDK opened the adapter."""


def open_adapter(
    adapter_class: type[Any], plan: Plan, entry: Entry | None = None
) -> tuple[BatchAdapter[Any] | AsyncAdapter[Any], Opened]:
    """Open a new adapter and describe it; it is closed again where that fails.

    `entry` is what its distribution declares. Reads every file that the settings name, once: blocks its thread.
    """
    from echelon.adapters.identification import Identification

    settings = load(adapter_class.settings_type, plan.values, folder=Path(plan.folder), where=plan.where)
    identification = Identification(adapter_class, entry, settings, dict(plan.environment))
    adapter = adapter_class()
    adapter.open(settings)
    try:
        opened = _opened(adapter)
        identity = identification.identity(opened.card, _unverified(adapter))
        digest = opened.card.weights_digest or identity.files_digest
        return adapter, replace(opened, card=replace(opened.card, weights_digest=digest), identity=identity)
    except BaseException:
        adapter.close()
        raise


def _unverified(adapter: Any) -> tuple[str, ...]:
    found = adapter.unverified()
    if isinstance(found, str) or not isinstance(found, Sequence) or not all(isinstance(each, str) for each in found):
        raise AdapterLoadError(f"the adapter's unverified() must return a sequence of texts, not {found!r:.100}")
    return tuple(filter(None, found))


def _opened(adapter: Any) -> Opened:
    if isinstance(adapter, BatchAdapter):
        _check_blocking(adapter)
    card = adapter.card()
    faults = "; ".join(_faults(card))
    if faults:
        raise AdapterLoadError(f"the adapter's card(): {faults}")
    card = replace(card, calls=tuple(support for support in card.calls if type(adapter).overrides(support.call)))
    batches = isinstance(adapter, BatchAdapter)
    streams = tuple(call for call in Call if type(adapter).streams(call))
    probes = (adapter.probe(support.call) for support in card.calls) if batches else ()
    return Opened(card, batches, streams, tuple(probe for probe in probes if probe is not None))


def _check_blocking(adapter: BatchAdapter[Any]) -> None:
    for call in Call:
        if inspect.iscoroutinefunction(getattr(adapter, call)):
            raise AdapterLoadError(f"{call} is async, which a BatchAdapter's methods are not; derive from AsyncAdapter")


def _faults(card: Any) -> Iterator[str]:
    """What a type checker would have told."""
    if not isinstance(card, Card):
        yield f"it gave {type(card).__name__}, not a Card"
        return
    if not isinstance(card.version, str):
        yield f"version is {card.version!r}, not text"
    if not _is_tuple_of(CallSupport, card.calls):
        yield "calls is no tuple of CallSupport; one alone is (CallSupport(...),) with a comma at its end"
        return
    for support in card.calls:
        if not isinstance(support.call, Call):
            yield f"{support.call!r} is no Call, such as Call.LANGUAGE"
        for what in ("input_kinds", "output_kinds"):
            if not _is_tuple_of(Kind, getattr(support, what)):
                yield f"{what} of {support.call} is no tuple of Kind; one alone is (Kind.TEXT,) with a comma at its end"


def _is_tuple_of(kind: type, values: Any) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(value, kind) for value in values)


def run(adapter: Any, requests: Sequence[Request]) -> Sequence[Returned]:
    """What a batch adapter returns for `requests` of one call; OutputInvalidError unless that is one item for each."""
    return counted(getattr(adapter, requests[0].call)(requests), requests)


def counted(returned: Any, requests: Sequence[Request]) -> Sequence[Returned]:
    """`returned`, if it has one item for each request, else OutputInvalidError."""
    if not isinstance(returned, Sequence) or len(returned) != len(requests):
        got = f"{len(returned)} outcomes" if isinstance(returned, Sequence) else type(returned).__name__
        raise OutputInvalidError(f"the adapter returned {got} for {len(requests)} requests")
    return returned
