"""Prompts as tensors, and tensors of several requests as one batch."""

from __future__ import annotations

import inspect
import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from echelon.adapters.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from echelon.adapters.calls import Request
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.prompts import Prompt, Prompts

log = logging.getLogger(__name__)

T = TypeVar("T")

PER_TOKEN = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""The tensors with one value for each token of the prompt; they are padded, all others must fit as they are."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a model reads for one request; each tensor has the batch first."""

    tensors: dict[str, Any]
    prompt: str = ""

    @property
    def token_count(self) -> int:
        """Tokens of the prompt, those that stand for media included."""
        return int(self.tensors["input_ids"].shape[1])

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for inputs that can share a batch."""
        return tuple(
            (name, None if name in PER_TOKEN else tuple(getattr(values, "shape", (id(values),))[1:]))
            for name, values in sorted(self.tensors.items())
        )


class Reader:
    """Reads requests for one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, prompts: Prompts) -> None:
        self._checkpoint = checkpoint
        self._prompts = prompts
        self._needed = _needed(checkpoint.model.generate)

    def read(self, request: Request, **options: Any) -> Input:
        """The input for one request; InvalidInputError where the model takes none like it."""
        prompt = self._prompts.write(request)
        given = self._tensors(prompt, options)
        # Some add labels to train with, and leave lists where the rest is tensors.
        tensors = {name: _as_tensor(values) for name, values in given.items() if name != "labels"}
        missing = self._needed - set(tensors)
        if missing:
            raise InvalidInputError(f"the model takes nothing without {', '.join(sorted(missing))}; send an image")
        read = Input(tensors, prompt.text)
        context = self._checkpoint.context
        if context is not None and read.token_count >= context:
            raise InvalidInputError(
                f"the prompt has {read.token_count} tokens, and the model's context {context} for prompt and answer"
            )
        return read

    def _tensors(self, prompt: Prompt, options: dict[str, Any]) -> dict[str, Any]:
        media: dict[str, Any] = {}
        if prompt.images:
            media["images"] = prompt.images
        if prompt.sounds and self._prompts.ear is not None:
            media |= {"audio": prompt.sounds, "sampling_rate": self._prompts.ear.rate_hz}
        if prompt.has_special_tokens:
            options = {**options, "add_special_tokens": False}
        try:
            return dict(self._checkpoint.processor(text=[prompt.text], return_tensors="pt", **media, **options))
        # Processors refuse what does not fit them with whatever class is at hand.
        except Exception as error:
            log.debug("the processor refused a request", exc_info=error)
            kinds = " and ".join(
                [*(["images"] if prompt.images else []), *(["sound"] if prompt.sounds else []), "text"]
            )
            raise InvalidInputError(f"the model's processor does not take a prompt of {kinds} like this one") from error


def grouped(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items of equal keys together, in the order of their first."""
    groups: dict[object, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def collated(inputs: Sequence[Input], pad_token: int, *, on_the_left: bool) -> dict[str, Any]:
    """The inputs, all of one form, as a batch; prompts are padded to the longest."""
    import torch

    if len(inputs) == 1:
        return dict(inputs[0].tensors)
    batch: dict[str, Any] = {}
    longest = max(item.token_count for item in inputs) if "input_ids" in inputs[0].tensors else 0
    for name in inputs[0].tensors:
        values = [item.tensors[name] for item in inputs]
        if name in PER_TOKEN:
            fill = pad_token if name == "input_ids" else 0
            values = [_padded(item, longest, fill, on_the_left) for item in values]
        batch[name] = torch.cat(values)
    return batch


def _needed(method: Callable[..., Any]) -> set[str]:
    """The arguments that a method does not do without."""
    arguments = inspect.signature(method).parameters.values()
    return {
        argument.name
        for argument in arguments
        if argument.default is argument.empty and argument.kind is argument.POSITIONAL_OR_KEYWORD
    }


def _as_tensor(values: Any) -> Any:
    import torch

    return torch.tensor(values) if isinstance(values, list) else values


def _padded(values: Any, length: int, fill: int, on_the_left: bool) -> Any:
    import torch

    missing = length - values.shape[1]
    return torch.nn.functional.pad(values, (missing, 0) if on_the_left else (0, missing), value=fill)
