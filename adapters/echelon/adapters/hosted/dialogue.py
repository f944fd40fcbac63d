"""A request as the turns of a dialogue, which is what chat APIs take.

Solved examples come first, then the history, then what is asked. A part of an example that is named "answer" is said
by the assistant. Parts of the history are named "user" or "assistant" after who said them; where none has a name, they
alternate, and the assistant spoke last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeAlias

from echelon.adapters import plain
from echelon.adapters.content import Audio, Boxes, Choice, Image, Json, Number, Part, Role, Text, Video
from echelon.adapters.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from echelon.adapters.calls import Request
    from echelon.adapters.hosted.structure import Form

Speaker: TypeAlias = Literal["user", "assistant"]
Piece: TypeAlias = str | Image | Audio | Video
"""Text to read, or a medium to send."""
ANSWER = "answer"
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says at once; text never stands beside text."""

    speaker: Speaker
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """All that is said, where it is text alone; UnsupportedError otherwise."""
        if any(not isinstance(piece, str) for piece in self.pieces):
            raise UnsupportedError(f"this API takes only text from the {self.speaker} in examples and history")
        return "".join(map(str, self.pieces))

    @property
    def is_text(self) -> bool:
        """Whether nothing but text is said."""
        return all(isinstance(piece, str) for piece in self.pieces)


def turns_of(request: Request, form: Form, show: Callable[[Video], Iterable[Piece]]) -> tuple[Turn, ...]:
    """The dialogue that asks for an answer in `form`; `show` says how a video is shown."""
    by_role = {role: [part for part in request.parts if part.role is role] for role in Role}
    examples, inputs = by_role[Role.EXEMPLAR], by_role[Role.INPUT]
    solved = any(part.name == ANSWER for part in examples)
    said = list(_examples(request, examples, form, show)) if solved else []
    said += _history(by_role[Role.HISTORY], show)
    shown = list(_shown(inputs, show))
    if not any(_says_something(piece) for piece in (request.instruction, *shown)):
        raise InvalidInputError("the call has neither an instruction nor an input part; a chat needs one of them")
    asked: list[Piece] = [request.instruction]
    if examples and not solved:
        asked += ["Examples:", *_shown(examples, show), "What is asked:"]
    return _joined([*said, ("user", [*asked, *shown, form.hint])])


Said: TypeAlias = tuple[Speaker, list[Piece]]


def _examples(
    request: Request, parts: list[Part], form: Form, show: Callable[[Video], Iterable[Piece]]
) -> Iterator[Said]:
    for answers, group in groupby(parts, lambda part: part.name == ANSWER):
        if answers:
            yield "assistant", [form.write(part) or piece for part in group for piece in _pieces(part, show)]
        else:
            yield "user", [request.instruction, *_shown(list(group), show), form.hint]


def _history(parts: list[Part], show: Callable[[Video], Iterable[Piece]]) -> Iterator[Said]:
    named = any(part.name for part in parts)
    for at, part in enumerate(parts):
        name = part.name if named else ("assistant" if (len(parts) - at) % 2 else "user")
        if name not in ("user", "assistant"):
            raise InvalidInputError(
                f"a part of the history is named {name!r}; name it 'user' or 'assistant' after who said it"
            )
        yield ("user" if name == "user" else "assistant"), list(_pieces(part, show))


def _joined(said: Iterable[Said]) -> tuple[Turn, ...]:
    """Turns that alternate, their texts joined."""
    turns = []
    for speaker, group in groupby(said, lambda item: item[0]):
        pieces = [piece for _, some in group for piece in some if piece != ""]
        joined: list[Piece] = []
        for is_text, run in groupby(pieces, lambda piece: isinstance(piece, str)):
            found = list(run)
            joined += ["\n\n".join(map(str, found))] if is_text else found
        joined = [piece for piece in joined if _says_something(piece)]
        if joined:
            turns.append(Turn(speaker, tuple(joined)))
    return tuple(turns)


def _says_something(piece: Piece) -> bool:
    # Anthropic refuses a message whose text is all white space.
    return not isinstance(piece, str) or bool(piece.strip())


def _shown(parts: list[Part], show: Callable[[Video], Iterable[Piece]]) -> Iterator[Piece]:
    for part in parts:
        if part.name:
            yield f"{part.name}:"
        yield from _pieces(part, show)


def _pieces(part: Part, show: Callable[[Video], Iterable[Piece]]) -> Iterable[Piece]:
    if isinstance(part, Video):
        return show(part)
    if isinstance(part, Image | Audio):
        return (part,)
    return (written(part),)


def written(part: Part) -> str:
    """A part in words; UnsupportedError for media."""
    match part:
        case Text() | Json():
            return part.value
        case Number():
            return f"{part.value!r} {part.unit}".rstrip()
        case Choice():
            return ", ".join(scored.label for scored in part.labels)
        case Boxes():
            return json.dumps({key: value for key, value in plain.to_plain(part).items() if key in ("boxes", "space")})
    raise UnsupportedError(f"this API takes no {part.kind}")


def frames_of(video: Video, most: int) -> Iterator[Piece]:
    """At most `most` frames of a video, spread evenly, each after its number and, where it is known, its time."""
    if video.frames:
        chosen = [video.frames[at] for at in _spread(len(video.frames), most)]
        frames = [(frame.image, f" at {frame.time_us / MICROSECONDS:.2f} s") for frame in chosen]
    else:
        pixels = video.array()
        frames = [(Image.from_array(pixels[at]), "") for at in _spread(len(pixels), most)]
    for number, (image, time) in enumerate(frames, 1):
        yield f"Frame {number} of {len(frames)}{time}:"
        yield image


def _spread(length: int, most: int) -> Sequence[int]:
    """The middles of `most` equal stretches of `length` places."""
    return range(length) if length <= most else [(2 * i + 1) * length // (2 * most) for i in range(most)]
