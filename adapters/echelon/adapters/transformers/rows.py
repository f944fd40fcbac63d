"""The sequences of a batch while they are decoded: what each does with its next token, and when it ends."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import FinishReason
from echelon.adapters.errors import BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from echelon.adapters.calls import Request
    from echelon.adapters.errors import EchelonError


@dataclass(frozen=True, slots=True)
class Chance:
    """How a token is drawn: from the `top_k` likeliest, and of those from the likeliest that make up `top_p`."""

    seed: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    """0 is all."""


class Row:
    """One sequence; without `chance` the likeliest token is next."""

    def __init__(self, request: Request, most: int, chance: Chance | None = None) -> None:
        self.request = request
        self.most = most
        self.chance = chance
        self.restart()

    def restart(self) -> None:
        """Begin anew, and come to the same end."""
        self.tokens: list[int] = []
        self.ended = False
        self.error: EchelonError | None = None
        self.random = Random(self.chance.seed if self.chance is not None else 0)  # noqa: S311  (repeatable on purpose)

    def choose(self, scores: Any) -> int | None:
        """The token that must be next, whatever its score; None lets chance or the scores decide."""
        return None

    def take(self, token: int) -> None:
        """The next token of the sequence."""
        self.tokens.append(token)
        self.ended = len(self.tokens) >= self.most

    def look(self) -> None:
        """End where nobody waits for the sequence any more."""
        deadline = self.request.deadline
        if self.request.cancellation:
            self.fail(BudgetExceededError("the call was cancelled"))
        elif deadline is not None and monotonic() > deadline:
            self.fail(BudgetExceededError(f"no answer within the call's budget, after {len(self.tokens)} tokens"))

    def fail(self, error: EchelonError) -> None:
        """End without an answer."""
        self.error, self.ended = error, True


class TextRow(Row):
    """A sequence that becomes text; `hear` is told all of it that is settled, after every token."""

    def __init__(
        self,
        request: Request,
        most: int,
        chance: Chance | None,
        ends: frozenset[int],
        decode: Callable[[Sequence[int]], str],
        hear: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(request, most, chance)
        self._ends = ends
        self._decode = decode
        self._hear = hear
        stops = [stop for stop in request.sampling.stop if stop]
        self._stops = stops
        # A token holds a byte at least, and a character has four at most.
        self._window = 4 * max(map(len, stops), default=0) + 8

    def restart(self) -> None:
        super().restart()
        self.finish_reason = FinishReason.COMPLETE

    def take(self, token: int) -> None:
        if token in self._ends:
            self.ended = True
            return
        self.tokens.append(token)
        if self._stops and self._is_stopped():
            self.ended = True
        elif len(self.tokens) >= self.most:
            self.ended, self.finish_reason = True, FinishReason.LENGTH
        if self._hear is not None:
            self._hear(self.settled())

    def _is_stopped(self) -> bool:
        recent = self._decode(self.tokens[-self._window :])
        # The end alone may read otherwise than the whole.
        return any(stop in recent for stop in self._stops) and self._cut(self._decode(self.tokens))[1]

    def text(self) -> str:
        """What has been said, up to the first stop string."""
        return self._cut(self._decode(self.tokens))[0]

    def settled(self) -> str:
        """The text that no further token changes: no half character, and no beginning of a stop string."""
        text, is_stopped = self._cut(self._decode(self.tokens))
        if self.ended or is_stopped:
            return text
        text = text.rstrip("\ufffd")
        begun = max((_begun(text, stop) for stop in self._stops), default=0)
        return text[: len(text) - begun]

    def _cut(self, text: str) -> tuple[str, bool]:
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        return (text[: min(places)], True) if places else (text, False)


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of `text` may begin `stop`."""
    return next((length for length in range(len(stop) - 1, 0, -1) if text.endswith(stop[:length])), 0)


class Labels:
    """The log-likelihood of every label's tokens after one prompt.

    Labels share what they begin with: a row walks along the tokens of one, and on the way the next tokens of all that
    begin alike are looked up. Labels of one token each take a single row, and no step beyond the prompt.
    """

    def __init__(self, tokens: Sequence[Sequence[int]], end: int | None) -> None:
        whole = [tuple(label) for label in tokens]
        # Where one label begins another, only its end tells them apart.
        if end is not None and not _beginnings(whole).isdisjoint(whole):
            whole = [(*label, end) for label in whole]
        self._labels = whole
        self._next: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for label in whole:
            for place, token in enumerate(label):
                self._next[label[:place]].add(token)
        self._found: dict[tuple[int, ...], float] = {}

    def rows(self, request: Request) -> list[LabelRow]:
        """The rows that have to be walked."""
        walked = {label[:-1] for label in self._labels}
        return [LabelRow(request, path, self) for path in sorted(walked - _beginnings(walked))]

    def look_up(self, path: tuple[int, ...], scores: Any) -> None:
        """Note how likely the next tokens are after `path`."""
        wanted = sorted(self._next[path])
        values = scores.double().log_softmax(-1)[wanted].tolist()
        self._found.update(((*path, token), value) for token, value in zip(wanted, values, strict=True))

    def scores(self, *, per_token: bool) -> list[float]:
        """The log-likelihood of each label, or its mean over the tokens."""
        totals = [sum(self._found[label[: place + 1]] for place in range(len(label))) for label in self._labels]
        if not per_token:
            return totals
        return [total / len(label) for total, label in zip(totals, self._labels, strict=True)]


class LabelRow(Row):
    """A sequence that follows the tokens of a label."""

    def __init__(self, request: Request, path: tuple[int, ...], labels: Labels) -> None:
        super().__init__(request, len(path) + 1)
        self._path = path
        self._labels = labels

    def choose(self, scores: Any) -> int | None:
        at = len(self.tokens)
        self._labels.look_up(self._path[:at], scores)
        return self._path[at] if at < len(self._path) else None


def _beginnings(paths: Iterable[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """All that a path begins with, the path itself left out."""
    return {path[:length] for path in paths for length in range(len(path))}
