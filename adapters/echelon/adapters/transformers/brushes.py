"""How each family draws: what its processor is told, how many tokens an image has, and how they become pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from echelon.adapters.transformers.decoding import decode, picking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.inputs import Input
    from echelon.adapters.transformers.rows import Row
    from echelon.adapters.transformers.settings import Drawing


class Brush(Protocol):
    """Draws with one checkpoint."""

    options: Mapping[str, Any]
    """What the processor is told besides the prompt."""

    def token_count(self, read: Input) -> int:
        """The tokens of one image."""
        ...

    def draw(self, tensors: dict[str, Any], rows: Sequence[Row], config: Any) -> Sequence[Any]:
        """An image of Pillow's for each row; nothing is meant by those of rows that failed."""
        ...


class JanusBrush:
    """Janus has a head for image tokens, and a loop of its own that takes them from there."""

    options: Mapping[str, Any] = {"generation_mode": "image"}

    def __init__(self, checkpoint: Checkpoint, drawing: Drawing) -> None:
        self._checkpoint = checkpoint
        self._drawing = drawing

    def token_count(self, read: Input) -> int:
        return int(self._checkpoint.model.config.vision_config.num_image_tokens)

    def draw(self, tensors: dict[str, Any], rows: Sequence[Row], config: Any) -> Sequence[Any]:
        import torch
        from transformers import ClassifierFreeGuidanceLogitsProcessor

        model = self._checkpoint.model
        config.guidance_scale = 1  # its own comes after what we add, and has to come before
        config.max_length = tensors["input_ids"].shape[1] + rows[0].most
        start = self._checkpoint.tokenizer.convert_tokens_to_ids(self._checkpoint.processor.image_start_token)
        config.generation_kwargs = {"boi_token_id": start}
        try:
            with torch.inference_mode():
                tokens = model.generate(
                    **self._checkpoint.placed(tensors),
                    generation_mode="image",
                    generation_config=config,
                    logits_processor=[ClassifierFreeGuidanceLogitsProcessor(self._drawing.guidance), _watched(rows)],
                )
                # One by one: some processors' kernels round another batch otherwise.
                pixels = torch.cat([model.decode_image_tokens(image) for image in tokens.split(1)])
        except _UnwantedError:
            return [None] * len(rows)
        return _pictures(self._checkpoint, pixels)


class Emu3Brush:
    """Emu3 writes an image as text, line by line, each with a token at its end."""

    def __init__(self, checkpoint: Checkpoint, drawing: Drawing) -> None:
        self._checkpoint = checkpoint
        self._drawing = drawing
        self.options: Mapping[str, Any] = {
            "return_for_image_generation": True,
            "ratio": drawing.aspect,
            "image_area": drawing.pixels,
        }

    def token_count(self, read: Input) -> int:
        height, width = _size(read.tensors)
        return height * (width + 1)

    def draw(self, tensors: dict[str, Any], rows: Sequence[Row], config: Any) -> Sequence[Any]:
        import torch

        tensors = dict(tensors)
        height, width = _size(tensors)
        del tensors["image_sizes"]
        blank = self._checkpoint.processor(text=[""] * len(rows), return_tensors="pt", **self.options)
        config.guidance_scale = self._drawing.guidance
        decode(
            self._checkpoint,
            tensors,
            rows,
            config,
            prefix_allowed_tokens_fn=self._allowed(rows, width),
            negative_prompt_ids=blank["input_ids"].to(self._checkpoint.device),
            negative_prompt_attention_mask=blank["attention_mask"].to(self._checkpoint.device),
        )
        whole = [row.tokens if row.error is None else [0] * rows[0].most for row in rows]
        # It takes off three that end the image.
        tokens = torch.nn.functional.pad(torch.tensor(whole, device=self._checkpoint.device), (0, 3))
        model = self._checkpoint.model
        with torch.inference_mode():
            # One by one: some processors' kernels round another batch otherwise.
            pixels = torch.cat(
                [model.decode_image_tokens(image_tokens=image, height=height, width=width) for image in tokens.split(1)]
            )
        return _pictures(self._checkpoint, pixels.movedim(-3, -1))

    def _allowed(self, rows: Sequence[Row], width: int) -> Callable[[int, Any], list[int]]:
        vocabulary = self._checkpoint.model.vocabulary_mapping
        line_end = [vocabulary.eol_token_id]

        def allowed(place: int, tokens: Any) -> list[int]:
            return line_end if len(rows[place].tokens) % (width + 1) == width else vocabulary.image_tokens

        return allowed


BRUSHES: Mapping[str, Callable[[Checkpoint, Drawing], Brush]] = {"janus": JanusBrush, "emu3": Emu3Brush}
"""By the config's `model_type`; no other model of transformers draws."""


class _UnwantedError(Exception):
    """Nobody waits for any of the images."""


def _watched(rows: Sequence[Row]) -> Callable[[Any, Any], Any]:
    """Picks tokens, and notes them; the loop has no other place to look at the rows."""
    pick = picking(rows)

    def watch(input_ids: Any, scores: Any) -> Any:
        for row in rows:
            row.look()
        if all(row.error is not None for row in rows):
            raise _UnwantedError
        scores = pick(input_ids, scores)
        for row, token in zip(rows, scores.argmax(-1).tolist(), strict=True):
            if not row.ended:
                row.take(token)
        return scores

    return watch


def _size(tensors: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width in tokens."""
    height, width = tensors["image_sizes"][0]
    return int(height), int(width)


def _pictures(checkpoint: Checkpoint, pixels: Any) -> list[Any]:
    """Images of Pillow's, from normalized pixels of (batch, height, width, 3)."""
    import numpy as np
    from PIL import Image

    # The processors' own way back differs from one backend to the other, and fails in one.
    processor = checkpoint.processor.image_processor
    values = pixels.float().cpu().numpy() * np.array(processor.image_std) + np.array(processor.image_mean)
    return [Image.fromarray(item) for item in (values * 255).round().clip(0, 255).astype(np.uint8)]
