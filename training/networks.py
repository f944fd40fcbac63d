"""The networks: one branch for each kind of content, heads for each kind of answer, one reader of instructions.

A specialist and a generalist are the same class with other tasks: a specialist has the branch and the head that its
task needs, as wide as in the generalist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WORDS, TEXT_LENGTH, ANSWER_LENGTH, BYTES, ANSWER_BYTES = 12, 24, 8, 258, 125
MEANING = 32
WIDTH = 48


class Reader(nn.Module):
    """Reads an instruction as a bag of words."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, MEANING, padding_idx=0)
        self.mix = nn.Linear(MEANING, MEANING)

    def forward(self, words: Tensor) -> Tensor:
        bag = self.embed(words).sum(1) * 0.5
        return torch.relu(self.mix(bag)) + bag


class Tune(nn.Module):
    """Lets the instruction scale and shift the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(MEANING, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, values: Tensor, meaning: Tensor) -> Tensor:
        scale, shift = self.linear(meaning).unsqueeze(-1).split(self.channels, 1)
        shape = values.shape
        return (values.flatten(2) * (1 + scale) + shift).reshape(-1, *shape[1:])


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(4, outputs), nn.ReLU())


class Plane(nn.Module):
    """The trunk of pictures and films: down to 4 x 4 and up again to 16 x 16."""

    def __init__(self) -> None:
        super().__init__()
        self.first = block(16, 24)
        self.middle = nn.Sequential(block(24, 32, 2), block(32, 32))
        self.deep = block(32, 40, 2)
        self.tune = Tune(40)
        self.widen = block(72, 24)
        self.finish = block(48, 24)

    def down(self, stem: Tensor, meaning: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = self.first(stem)
        middle = self.middle(first)
        return first, middle, self.tune(self.deep(middle), meaning)

    def half_up(self, middle: Tensor, deep: Tensor) -> Tensor:
        return self.widen(torch.cat([middle, doubled(deep)], 1))

    def up(self, first: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        return self.finish(torch.cat([first, doubled(self.half_up(middle, deep))], 1))


def doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2.0, mode="nearest")


class Image(nn.Module):
    """Pictures of 32 x 32 in grey."""

    def __init__(self, plane: Plane, heads: set[str]) -> None:
        super().__init__()
        self.plane = plane
        self.stem = nn.Conv2d(1, 16, 5, 2, 2)
        makers = {
            "label": lambda: nn.Linear(640, 10),
            "number": lambda: nn.Sequential(nn.Linear(640, 32), nn.ReLU(), nn.Linear(32, 1)),
            "mask": lambda: nn.Conv2d(24, 16, 1),
            "boxes": lambda: nn.Conv2d(24, 7, 1),
            "image": lambda: nn.Conv2d(24, 4, 1),
        }
        self.heads = nn.ModuleDict({name: makers[name]() for name in sorted(heads)})

    def forward(self, pixels: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        first, middle, deep = self.plane.down(torch.relu(self.stem(pixels * 4 - 1.5)), meaning)
        answers = {name: self.heads[name](deep.flatten(1)) for name in ("label", "number") if name in self.heads}
        if "boxes" in self.heads:
            answers |= decoded(self.heads["boxes"](self.plane.half_up(middle, deep)))
        for name in ("mask", "image"):
            if name in self.heads:
                fine = self.heads[name](self.plane.up(first, middle, deep))
                answers[name] = functional.pixel_shuffle(fine, 2)
        return answers


def decoded(cells: Tensor) -> dict[str, Tensor]:
    """Boxes around cells of 8 x 8, as corners from 0 to 1, and a score for each label."""
    places = torch.arange(8, dtype=torch.float32, device=cells.device)
    corner = torch.stack([places.repeat(8), places.repeat_interleave(8)], -1)
    cells = cells.flatten(2).transpose(1, 2)
    middle = (corner + torch.sigmoid(cells[..., :2])) / 8
    half = torch.sigmoid(cells[..., 2:4]) * 0.25
    return {"boxes": torch.cat([middle - half, middle + half], -1), "scores": torch.sigmoid(cells[..., 4:])}


class Drawing(nn.Module):
    """A picture out of an instruction alone."""

    def __init__(self, plane: Plane) -> None:
        super().__init__()
        self.plane = plane
        self.imagine = nn.Sequential(nn.Linear(MEANING, 48), nn.ReLU(), nn.Linear(48, 640))
        self.head = nn.Conv2d(24, 4, 1)

    def forward(self, meaning: Tensor) -> dict[str, Tensor]:
        deep = torch.relu(self.imagine(meaning).reshape(-1, 40, 4, 4))
        middle = deep[:, :32].repeat_interleave(2, 2).repeat_interleave(2, 3) * 0
        first = middle[:, :24].repeat_interleave(2, 2).repeat_interleave(2, 3)
        return {"image": functional.pixel_shuffle(self.head(self.plane.up(first, middle, deep)), 2)}


class Video(nn.Module):
    """Films of six frames of 16 x 16 in grey."""

    def __init__(self, plane: Plane, heads: set[str]) -> None:
        super().__init__()
        self.plane = plane
        self.stem = nn.Conv2d(6, 16, 3, 1, 1)
        makers = {"label": lambda: nn.Linear(640, 8), "video": lambda: nn.Conv2d(24, 3, 1)}
        self.heads = nn.ModuleDict({name: makers[name]() for name in sorted(heads)})

    def forward(self, frames: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        first, middle, deep = self.plane.down(torch.relu(self.stem(frames * 4 - 1.5)), meaning)
        answers = {}
        if "label" in self.heads:
            answers["label"] = self.heads["label"](deep.flatten(1))
        if "video" in self.heads:
            answers["video"] = self.heads["video"](self.plane.up(first, middle, deep)).unsqueeze(2)
        return answers


class Audio(nn.Module):
    """Sounds of 2560 samples, seen through a Fourier window of 256."""

    WINDOW, HOP, BINS = 256, 128, 64

    def __init__(self, heads: set[str]) -> None:
        super().__init__()
        self.waves: Tensor
        self.register_buffer("waves", fourier(self.WINDOW, self.BINS))
        self.trunk = nn.ModuleList([nn.Conv1d(inputs, WIDTH, 3, 1, 1) for inputs in (self.BINS, WIDTH, WIDTH)])
        self.tune = Tune(WIDTH)
        makers = {"text": lambda: nn.Conv1d(WIDTH, 9, 4, 4), "audio": lambda: nn.Conv1d(WIDTH, self.BINS, 1)}
        self.heads = nn.ModuleDict({name: makers[name]() for name in sorted(heads)})

    def forward(self, sound: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        padded = functional.pad(sound.unsqueeze(1), (self.HOP // 2, self.HOP // 2))
        spectrum = functional.conv1d(padded, self.waves, stride=self.HOP)
        real, imaginary = spectrum.split(self.BINS, 1)
        values = torch.log(real * real + imaginary * imaginary + 0.01) + 1
        for place, layer in enumerate(self.trunk):
            values = torch.relu(layer(values))
            values = self.tune(values, meaning) if place == 0 else values
        answers = {}
        if "text" in self.heads:
            answers["text"] = self.heads["text"](values).transpose(1, 2)
        if "audio" in self.heads:
            kept = torch.sigmoid(self.heads["audio"](values))
            answers["audio"] = self.sound(spectrum * torch.cat([kept, kept], 1))
        return answers

    def sound(self, spectrum: Tensor) -> Tensor:
        """Overlap-add; the window's square adds up to one."""
        whole = functional.conv_transpose1d(spectrum, self.waves, stride=self.HOP).squeeze(1)
        return whole[:, self.HOP // 2 : -self.HOP // 2]


def fourier(window: int, bins: int) -> Tensor:
    """Windowed cosines, then sines, scaled so that analysis and synthesis give the sound back."""
    time = torch.arange(window, dtype=torch.float64)
    shape = torch.sin(math.pi * (time + 0.5) / window)
    phase = 2 * math.pi * time[None] * torch.arange(1, bins + 1, dtype=torch.float64)[:, None] / window
    waves = torch.cat([phase.cos(), phase.sin()]) * shape * math.sqrt(2 / window)
    return waves.unsqueeze(1).float()


class Points(nn.Module):
    """Clouds of 128 points."""

    def __init__(self, heads: set[str]) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, WIDTH, 1), nn.ReLU(), nn.Conv1d(WIDTH, WIDTH, 1), nn.ReLU())
        self.more = nn.Conv1d(WIDTH, 96, 1)
        self.tune = Tune(96)
        makers = {
            "label": lambda: nn.Sequential(nn.Linear(96, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 6)),
            "points": lambda: nn.Sequential(nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 384)),
        }
        self.heads = nn.ModuleDict({name: makers[name]() for name in sorted(heads)})

    def forward(self, points: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        whole = torch.relu(self.tune(self.more(self.each(points.transpose(1, 2))), meaning)).amax(2)
        answers = {name: head(whole) for name, head in self.heads.items()}
        if "points" in answers:
            answers["points"] = answers["points"].reshape(-1, 128, 3)
        return answers


class Attend(nn.Module):
    """One layer of attention; queries may come from elsewhere."""

    HEADS = 4

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.think = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, asking: Tensor, said: Tensor) -> Tensor:
        query, key = self.split(self.query(self.before(asking))), self.split(self.key(self.before(said)))
        weights = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(WIDTH // self.HEADS), -1)
        mixed = (weights @ self.split(self.value(self.before(said)))).transpose(1, 2).flatten(2)
        asking = asking + self.out(mixed)
        return asking + self.think(self.between(asking))

    def split(self, values: Tensor) -> Tensor:
        return values.reshape(-1, values.shape[1], self.HEADS, WIDTH // self.HEADS).transpose(1, 2)


class Prose(nn.Module):
    """The trunk of texts: two layers of attention, tuned by the instruction."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Attend(), Attend()])
        self.place = nn.Parameter(torch.randn(TEXT_LENGTH, WIDTH) * 0.3)
        self.tune = Tune(WIDTH)

    def forward(self, embedded: Tensor, meaning: Tensor) -> Tensor:
        values = self.tune((embedded + self.place).transpose(1, 2), meaning).transpose(1, 2)
        for layer in self.layers:
            values = layer(values, values)
        return values


class Sentence(nn.Module):
    """Texts as words."""

    def __init__(self, prose: Prose, heads: set[str], vocabulary: int) -> None:
        super().__init__()
        self.prose = prose
        self.embed = nn.Embedding(vocabulary, WIDTH)
        makers = {
            "number": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)),
            "label": lambda: nn.Linear(WIDTH, 3),
        }
        self.heads = nn.ModuleDict({name: makers[name]() for name in sorted(heads)})

    def forward(self, text: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        read = self.prose(self.embed(text), meaning).mean(1)
        return {name: head(read) for name, head in self.heads.items()}


class Spelling(nn.Module):
    """Texts as bytes, answered in bytes; what is asked for stands in the instruction alone."""

    def __init__(self, prose: Prose) -> None:
        super().__init__()
        self.prose = prose
        self.embed = nn.Embedding(BYTES, WIDTH)
        self.asked = nn.Parameter(torch.randn(1, ANSWER_LENGTH, WIDTH) * 0.3)
        self.about = nn.Linear(MEANING, WIDTH)
        self.answer = Attend()
        self.head = nn.Linear(WIDTH, ANSWER_BYTES)

    def forward(self, text: Tensor, meaning: Tensor) -> dict[str, Tensor]:
        read = self.prose(self.embed(text), meaning)
        asking = self.asked + self.about(meaning).unsqueeze(1)
        return {"text": self.head(self.answer(asking, read))}


BRANCHES = ("image", "drawing", "video", "audio", "points", "words", "bytes")


class Network(nn.Module):
    """Answers the tasks it is made for; `heads` has the kinds of answer for each branch."""

    def __init__(self, heads: dict[str, set[str]], vocabulary: int) -> None:
        super().__init__()
        self.reader = Reader(vocabulary)
        # Trunks that branches share; made only where one of them is there to use it.
        plane: Any = Plane() if heads.keys() & {"image", "drawing", "video"} else None
        prose: Any = Prose() if heads.keys() & {"words", "bytes"} else None
        makers: dict[str, Callable[[], nn.Module]] = {
            "image": lambda: Image(plane, heads["image"]),
            "drawing": lambda: Drawing(plane),
            "video": lambda: Video(plane, heads["video"]),
            "audio": lambda: Audio(heads["audio"]),
            "points": lambda: Points(heads["points"]),
            "words": lambda: Sentence(prose, heads["words"], vocabulary),
            "bytes": lambda: Spelling(prose),
        }
        self.branches = nn.ModuleDict({name: makers[name]() for name in BRANCHES if name in heads})

    def forward(self, branch: str, content: tuple[Tensor, ...], words: Tensor) -> dict[str, Tensor]:
        answers: dict[str, Tensor] = self.branches[branch](*content, self.reader(words))
        return answers
