"""How tokens are chosen: what the request says, else the settings, else the checkpoint."""

from __future__ import annotations

import copy
import logging
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from echelon.adapters.transformers.rows import Chance

if TYPE_CHECKING:
    from echelon.adapters.calls import Request
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings

log = logging.getLogger(__name__)

UNSERVED = ("typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "min_p", "watermarking_config")
"""Ways to sample that a checkpoint may ask for and that are not followed here."""
DECIDED_HERE = ("temperature", "top_p", "top_k", "max_length", "early_stopping", "length_penalty", *UNSERVED)
KEPT_WHEN_SCORED = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")


class Choosing:
    """The rules of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, settings: TransformersSettings) -> None:
        own, tokenizer = checkpoint.generation, checkpoint.tokenizer
        self._own = own
        self._settings = settings
        ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
        self.ends = frozenset(ends if isinstance(ends, list) else [ends] if ends is not None else [])
        self.end: int | None = min(self.ends, default=None)
        pad = own.pad_token_id if own.pad_token_id is not None else tokenizer.pad_token_id
        self.pad: int = pad if pad is not None else self.end or 0
        self._written = self._config(copy.deepcopy(own))
        penalty = settings.generation.repetition_penalty
        if penalty is not None:
            self._written.repetition_penalty = penalty
        self._scored = self._config(type(own)(**{name: getattr(own, name, None) for name in KEPT_WHEN_SCORED}))
        # What a config leaves open, the library takes from here.
        checkpoint.model.generation_config = copy.deepcopy(self._scored)
        _say_unserved(own)

    def _config(self, config: Any) -> Any:
        for name in DECIDED_HERE:
            setattr(config, name, None)
        config.do_sample, config.num_beams, config.num_return_sequences = False, 1, 1
        config.eos_token_id = sorted(self.ends) or None
        config.pad_token_id = self.pad
        return config

    def config(self, most: int, *, is_scored: bool) -> Any:
        """What the library is told for a batch whose longest row may have `most` tokens."""
        config = copy.copy(self._scored if is_scored else self._written)
        config.max_new_tokens = most
        return config

    def chance(self, request: Request, *, temperature: float | None = None) -> Chance | None:
        """What is random in the answer to `request`, at that temperature or the one it asks for; None is nothing."""
        asked, said, own = request.sampling, self._settings.generation, self._own
        samples = bool(own.do_sample)
        temperature = _first(
            temperature, asked.temperature, said.temperature, (own.temperature or 1.0) if samples else 0.0
        )
        if not temperature:
            return None
        return Chance(
            self._seed(request),
            temperature,
            _first(asked.top_p, said.top_p, own.top_p if samples else None, 1.0),
            _first(said.top_k, own.top_k if samples else None, 0),
        )

    def _seed(self, request: Request) -> int:
        if request.sampling.seed is not None:
            return request.sampling.seed
        return 0 if self._settings.deterministic else SystemRandom().getrandbits(64)


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _say_unserved(own: Any) -> None:
    for name in UNSERVED:
        if getattr(own, name, None) is not None:
            log.warning("the checkpoint's generation config sets %s, which is not followed", name)
    if (own.num_beams or 1) > 1:
        log.warning("the checkpoint's generation config searches %d beams; here it follows one", own.num_beams)
