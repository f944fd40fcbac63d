"""From a request to the prompt that a checkpoint was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from echelon.adapters.content import Audio, Boxes, Image, Json, Number, Part, Role, Text, Video
from echelon.adapters.errors import InvalidInputError, SettingsError
from echelon.adapters.transformers import media

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from echelon.adapters.calls import Request
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings

Speaker = Literal["user", "assistant"]

MEDIA = ("image", "video", "audio")
SELF_PLACING = ("Blip2Processor", "InstructBlipProcessor")
"""Processors that put an image before the prompt by themselves."""

FALLBACK = """\
{%- for message in messages -%}
{%- for piece in message.content -%}
{{ piece.text if piece.type == 'text' else placeholders[piece.type] }}
{%- endfor -%}
{{ '\\n' if not loop.last }}
{%- endfor -%}"""
"""For checkpoints without a template of their own: the media, then the text."""


@dataclass(slots=True)
class Prompt:
    """Text with a placeholder for each medium, and the media in their order."""

    text: str = ""
    images: list[Any] = field(default_factory=list)
    sounds: list[Any] = field(default_factory=list)
    has_special_tokens: bool = False
    """Whether nothing may be added around the text."""


class Prompts:
    """Writes the prompts of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, settings: TransformersSettings) -> None:
        self._settings = settings
        self._processor = checkpoint.processor
        self._tokenizer = checkpoint.tokenizer
        self.ear = _ear(checkpoint.processor, settings)
        theirs = getattr(checkpoint.processor, "chat_template", None) or self._tokenizer.chat_template
        own = _read(settings) or (theirs.get("default") if isinstance(theirs, dict) else theirs)
        self._is_chat = own is not None
        self._template = own or FALLBACK
        self._is_multimodal = checkpoint.processor is not self._tokenizer
        self._placeholders = _placeholders(checkpoint.processor)
        self._control = self._control_tokens()

    def write(self, request: Request) -> Prompt:
        """The prompt for one request."""
        prompt = Prompt()
        messages = list(self._messages(request, prompt))
        prompt.text = self._rendered(messages)
        bos = self._tokenizer.bos_token
        # As the library does it: what a processor's template writes is completed, what a tokenizer's writes is not.
        is_whole = self._is_chat and not self._is_multimodal
        prompt.has_special_tokens = is_whole or bool(bos and prompt.text.startswith(bos))
        return prompt

    def _rendered(self, messages: list[dict[str, Any]]) -> str:
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            rendered, _ = render_jinja_template(
                [messages],
                chat_template=self._template,
                add_generation_prompt=True,
                placeholders=self._placeholders,
                **{**self._tokenizer.special_tokens_map, **self._settings.chat.options},
            )
        # The checkpoint's template runs here, and refuses what it does not know in its own way.
        except Exception as error:
            raise InvalidInputError(f"the model's chat template does not take this dialogue: {error}") from error
        return str(rendered[0])

    def _messages(self, request: Request, prompt: Prompt) -> Iterator[dict[str, Any]]:
        if self._settings.chat.system:
            yield self._message("system", [_text(self._settings.chat.system)])
        earlier = [part for part in request.parts if part.role is not Role.INPUT]
        for speaker, parts in turns(earlier):
            yield self._message(speaker, self._pieces(parts, request, prompt))
        yield self._message("user", self._asked(request, prompt))

    def _asked(self, request: Request, prompt: Prompt) -> list[dict[str, Any]]:
        """The media that lead the request, the instruction, then the rest as it came."""
        parts = [part for part in request.parts if part.role is Role.INPUT]
        leading = next((place for place, part in enumerate(parts) if not _is_medium(part)), len(parts))
        pieces = self._pieces(parts[:leading], request, prompt)
        if request.instruction:
            pieces.append(_text(self._harmless(request.instruction)))
        pieces += self._pieces(parts[leading:], request, prompt)
        if request.labels and self._settings.chat.labels:
            listed = self._settings.chat.labels.replace("{labels}", ", ".join(request.labels))
            pieces.append(_text(self._harmless(listed)))
        return pieces

    def _pieces(self, parts: Iterable[Part], request: Request, prompt: Prompt) -> list[dict[str, Any]]:
        pieces: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Image | Video):
                shown = self._seen(part)
                prompt.images.extend(shown)
                pieces.extend({"type": "image"} for _ in shown)
            elif isinstance(part, Audio):
                prompt.sounds.append(self._heard(part))
                pieces.append({"type": "audio"})
            else:
                pieces.append(_text(self._harmless(self._words(part, request))))
        return pieces

    def _seen(self, part: Image | Video) -> list[Any]:
        if not hasattr(self._processor, "image_processor"):
            raise InvalidInputError("the model sees nothing")
        if isinstance(part, Image):
            return [media.picture(part)]
        return media.frames(part, self._settings.video_frames)

    def _heard(self, part: Audio) -> Any:
        if self.ear is None:
            raise InvalidInputError("the model hears nothing")
        return self.ear.hear(part)

    def _words(self, part: Part, request: Request) -> str:
        if isinstance(part, Text | Json):
            return part.value
        if isinstance(part, Number):
            return f"{part.value:.15g} {part.unit}".rstrip()
        if isinstance(part, Boxes) and self._settings.coordinates is not None:
            image = media.picture(request.first(Image))
            size = (image.height, image.width)
            return self._settings.coordinates.write(part, self._seen_size(image, size), size)
        raise InvalidInputError(f"the model takes no {part.kind}")

    def _seen_size(self, image: Any, size: tuple[int, int]) -> tuple[int, int]:
        if self._settings.coordinates is None or self._settings.coordinates.scale is not None:
            return size
        seen = self._processor.image_processor(images=[image], return_tensors="pt")
        return media.seen_size(self._processor.image_processor, seen.get("image_grid_thw"), size)

    def _message(self, speaker: str, pieces: list[dict[str, Any]]) -> dict[str, Any]:
        merged = _merged(pieces)
        if self._is_chat and not self._is_multimodal:
            # Templates of text models take text, not a list.
            return {"role": speaker, "content": "\n".join(piece["text"] for piece in merged)}
        return {"role": speaker, "content": merged}

    def _control_tokens(self) -> tuple[str, ...]:
        """What only we may write into a prompt: placeholders, and the tokens that the template speaks with."""
        spoken = [token for token in self._tokenizer.get_added_vocab() if token in self._template]
        ends = [self._tokenizer.bos_token, self._tokenizer.eos_token]
        control = {str(token) for token in (*self._placeholders.values(), *spoken, *ends) if token}
        return tuple(sorted(control, key=len, reverse=True))

    def _harmless(self, text: str) -> str:
        for token in self._control:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def turns(parts: Iterable[Part]) -> Iterator[tuple[Speaker, list[Part]]]:
    """Who said which of the earlier parts.

    A part named "user" or "assistant" was said by that one. Of the others, what leads up to a text and that text is the
    user's, the next text is the assistant's, and so on.
    """
    said: list[tuple[Speaker, Part]] = []
    next_speaker: Speaker = "user"
    for part in parts:
        if part.name in ("user", "assistant"):
            next_speaker = "assistant" if part.name == "assistant" else "user"
        elif _is_medium(part):
            next_speaker = "user"
        said.append((next_speaker, part))
        if not _is_medium(part):
            next_speaker = "user" if next_speaker == "assistant" else "assistant"
    for speaker, group in groupby(said, key=lambda pair: pair[0]):
        yield speaker, [part for _, part in group]


def _is_medium(part: Part) -> bool:
    return isinstance(part, Image | Video | Audio)


def _text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def _merged(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Texts that follow each other as one, a line each: most templates put nothing between them."""
    merged: list[dict[str, Any]] = []
    for is_text, group in groupby(pieces, key=lambda piece: piece["type"] == "text"):
        run = list(group)
        merged += [_text("\n".join(piece["text"] for piece in run))] if is_text else run
    return merged


def _placeholders(processor: Any) -> dict[str, str]:
    """What stands for each medium in a prompt that no template of the checkpoint writes."""
    if type(processor).__name__ in SELF_PLACING:
        return dict.fromkeys(MEDIA, "")
    return {medium: str(getattr(processor, f"{medium}_token", None) or "") for medium in MEDIA}


def _read(settings: TransformersSettings) -> str | None:
    if settings.chat.template_file is None:
        return settings.chat.template
    try:
        return settings.chat.template_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {settings.chat.template_file}: {error}") from error


def _ear(processor: Any, settings: TransformersSettings) -> media.Ear | None:
    hears = getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None)
    if hears is None or not hasattr(hears, "sampling_rate"):
        return None
    return media.Ear(int(hears.sampling_rate), getattr(hears, "chunk_length", None), settings.cut_audio)
