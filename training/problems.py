"""What there is to learn: each starter task as tensors, with its loss."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from networks import ANSWER_LENGTH, TEXT_LENGTH, WORDS
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from echelon.adapters import Audio, Box, Boxes, Choice, Image, Mask, Number, Part, PointCloud, Text, Video
from echelon.adapters.calls import PartT
from echelon.scorer.suites.starter import TASKS, Example, Split, StarterTask
from echelon.scorer.suites.starter.audio import NOTES

SEED = 20261123
EXAMPLES = {Split.TRAIN: 1000, Split.VALIDATION: 400}
Array = NDArray[np.generic]
Answers = dict[str, Tensor]


@dataclass(frozen=True)
class Problem:
    """A task as the networks see it; the loss of a blind answer is about 1."""

    id: str
    branch: str
    head: str
    content: Callable[[Example], Array] | None
    target: Callable[[Example], Array]
    loss: Callable[[Answers, Tensor], Tensor]

    @property
    def starter(self) -> StarterTask:
        return next(starter for starter in TASKS if starter.task.id == self.id)

    def instruction(self, example: Example) -> str:
        return self.starter.task.instruction.format(**example.fields)


@dataclass(frozen=True)
class Data:
    """A split of a problem: the content (absent where the instruction is all), the instruction and the target."""

    content: tuple[Tensor, ...]
    words: Tensor
    target: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Data:
        return Data(tuple(part[rows] for part in self.content), self.words[rows], self.target[rows])

    def __len__(self) -> int:
        return len(self.target)


def load(problem: Problem, split: Split, vocabulary: dict[str, int]) -> Data:
    """Generate a split and turn it into tensors."""
    examples = [problem.starter.example(index, seed=SEED, split=split) for index in range(EXAMPLES[split])]
    words = np.stack([ids(problem.instruction(example), vocabulary, WORDS) for example in examples])
    target = np.stack([problem.target(example) for example in examples])
    content: tuple[Array, ...] = ()
    if problem.branch == "words":
        content = (np.stack([ids(said(example), vocabulary, TEXT_LENGTH) for example in examples]),)
    elif problem.content:
        content = (np.stack([problem.content(example) for example in examples]),)
    return Data(tuple(map(torch.from_numpy, content)), torch.from_numpy(words), torch.from_numpy(target))


def vocabulary_of(problems: list[Problem]) -> dict[str, int]:
    """The words of instructions and texts in the training data, from 2 on."""
    known: set[str] = set()
    for problem in problems:
        for index in range(EXAMPLES[Split.TRAIN]):
            example = problem.starter.example(index, seed=SEED, split=Split.TRAIN)
            known |= set(split_words(problem.instruction(example)))
            if problem.branch == "words":
                known |= set(split_words(said(example)))
    return {word: place + 2 for place, word in enumerate(sorted(known))}


def split_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def ids(text: str, vocabulary: dict[str, int], length: int) -> NDArray[np.int64]:
    return padded([vocabulary.get(word, 1) for word in split_words(text)], length)


def padded(values: list[int], length: int) -> NDArray[np.int64]:
    return np.array((values + [0] * length)[:length], np.int64)


def said(example: Example) -> str:
    return sure(Text, example.parts[0]).value


def sure(part_type: type[PartT], part: Part) -> PartT:
    assert isinstance(part, part_type)
    return part


def bytes_of(text: str, length: int) -> NDArray[np.int64]:
    return padded([value + 2 for value in text.encode()], length)


def pixels(part: Part) -> NDArray[np.float32]:
    assert isinstance(part, Image | Video)
    return part.array().astype(np.float32) / np.float32(255)


def sound(part: Part) -> NDArray[np.float32]:
    return sure(Audio, part).array()[0][:, 0]


def points(part: Part) -> Array:
    return sure(PointCloud, part).array()


def label(task_id: str) -> Callable[[Example], Array]:
    labels = next(starter.task.labels for starter in TASKS if starter.task.id == task_id)
    return lambda example: np.array(labels.index(sure(Choice, example.reference).label))


def number(example: Example) -> Array:
    return np.array([sure(Number, example.reference).value / 1000], np.float32)


def mask(example: Example) -> Array:
    return sure(Mask, example.reference).array().astype(np.int64)


def cells(example: Example) -> Array:
    """For each of 8 x 8 cells: whose middle lies there (a label plus one, or 0), and its corners from 0 to 1."""
    grid = np.zeros((64, 5), np.float32)
    labels = ("circle", "square", "triangle")
    for box in sure(Boxes, example.reference).boxes:
        assert isinstance(box, Box)
        corners = np.array([box.x_min, box.y_min, box.x_max, box.y_max]) / 32
        column, row = (int((corners[side] + corners[side + 2]) * 4) for side in (0, 1))
        grid[row * 8 + column] = [labels.index(box.label) + 1, *corners]
    return grid


def note_names(example: Example) -> Array:
    return padded([list(NOTES).index(name) + 2 for name in sure(Text, example.reference).value.split()], 5)


def entropy(head: str, blind: float) -> Callable[[Answers, Tensor], Tensor]:
    def loss(answers: Answers, target: Tensor) -> Tensor:
        logits = answers[head]
        classes = 2 if head == "text" else 1
        return functional.cross_entropy(logits.movedim(classes, 1), target) / blind

    return loss


def square(head: str, blind: float) -> Callable[[Answers, Tensor], Tensor]:
    return lambda answers, target: functional.mse_loss(answers[head], target) / blind


def absolute(blind: float) -> Callable[[Answers, Tensor], Tensor]:
    return lambda answers, target: functional.l1_loss(answers["number"], target) / blind


def detection(answers: Answers, target: Tensor) -> Tensor:
    wanted = functional.one_hot(target[..., 0].long(), 4)[..., 1:].float()
    scores = functional.binary_cross_entropy(answers["scores"], wanted, reduction="sum")
    there = target[..., 0] > 0
    places = (answers["boxes"] - target[..., 1:]).abs().sum(-1)[there].sum()
    return (scores + 8 * places) / there.sum() / 5


def chamfer(answers: Answers, target: Tensor) -> Tensor:
    far = torch.cdist(answers["points"], target)
    return (far.amin(1).mean() + far.amin(2).mean()) / 0.8


def first(read: Callable[[Part], Array]) -> Callable[[Example], Array]:
    return lambda example: read(example.parts[0])


def reference(read: Callable[[Part], Array]) -> Callable[[Example], Array]:
    return lambda example: read(example.reference)


def image(part: Part) -> Array:
    return pixels(part)[None]


def film(part: Part) -> Array:
    return pixels(part)[:, None]


def text_bytes(length: int) -> Callable[[Part], Array]:
    return lambda part: bytes_of(sure(Text, part).value, length)


PROBLEMS = [
    Problem("image-digits", "image", "label", first(image), label("image-digits"), entropy("label", 2.3)),
    Problem("image-segmentation", "image", "mask", first(image), mask, entropy("mask", 0.7)),
    Problem("image-detection", "image", "boxes", first(image), cells, detection),
    Problem("image-gauge", "image", "number", first(image), number, absolute(0.25)),
    Problem("image-denoising", "image", "image", first(image), reference(image), square("image", 0.05)),
    Problem("image-drawing", "drawing", "image", None, reference(image), square("image", 0.05)),
    Problem("video-direction", "video", "label", first(pixels), label("video-direction"), entropy("label", 2.1)),
    Problem("video-continuation", "video", "video", first(pixels), reference(film), square("video", 0.04)),
    Problem("audio-notes", "audio", "text", first(sound), note_names, entropy("text", 2.0)),
    Problem("audio-denoising", "audio", "audio", first(sound), reference(sound), square("audio", 0.03)),
    Problem("3d-naming", "points", "label", first(points), label("3d-naming"), entropy("label", 1.8)),
    Problem("3d-completion", "points", "points", first(points), reference(points), chamfer),
    Problem("language-sums", "words", "number", None, number, absolute(0.12)),
    Problem("language-mood", "words", "label", None, label("language-mood"), entropy("label", 1.1)),
    Problem(
        "language-spelling",
        "bytes",
        "text",
        first(text_bytes(TEXT_LENGTH)),
        reference(text_bytes(ANSWER_LENGTH)),
        entropy("text", 3.0),
    ),
    Problem(
        "language-pattern",
        "bytes",
        "text",
        first(text_bytes(TEXT_LENGTH)),
        reference(text_bytes(ANSWER_LENGTH)),
        entropy("text", 3.0),
    ),
]
