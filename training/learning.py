"""The one way in which every network learns."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass

import torch
from networks import Network
from problems import Data, Problem


@dataclass(frozen=True)
class Plan:
    """How long and how fast; the same for specialists and generalists."""

    steps: int = 1200
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-2
    look: int = 100
    """Steps from one look at the validation data to the next."""


@dataclass(frozen=True)
class Lesson:
    """A problem with its training and validation data."""

    problem: Problem
    train: Data
    validation: Data


@dataclass(frozen=True)
class Learned:
    """A network at some step, with its validation losses."""

    network: Network
    losses: dict[str, float]

    @property
    def loss(self) -> float:
        return sum(self.losses.values()) / len(self.losses)


def network_for(lessons: list[Lesson], vocabulary: int) -> Network:
    heads: dict[str, set[str]] = defaultdict(set)
    for lesson in lessons:
        heads[lesson.problem.branch].add(lesson.problem.head)
    return Network(heads, vocabulary)


def learn(lessons: list[Lesson], vocabulary: int, plan: Plan, seed: int) -> tuple[Learned, Learned]:
    """Each step takes one batch of every problem; the losses count alike.

    Gives the network as it was when its mean validation loss was lowest, and as it is in the end.
    """
    torch.manual_seed(seed)
    network = network_for(lessons, vocabulary)
    optimizer = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, plan.steps, pct_start=0.15)
    best = now = Learned(network, {"": float("inf")})
    for step in range(1, plan.steps + 1):
        network.train()
        optimizer.zero_grad()
        for lesson in lessons:
            rows = torch.randint(len(lesson.train), (plan.batch,))
            loss(network, lesson.problem, lesson.train[rows]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), len(lessons) ** 0.5)
        optimizer.step()
        schedule.step()
        if step % plan.look == 0:
            now = Learned(copy.deepcopy(network), losses(network, lessons))
            best = min(best, now, key=lambda learned: learned.loss)
    return best, now


def loss(network: Network, problem: Problem, data: Data) -> torch.Tensor:
    return problem.loss(network(problem.branch, data.content, data.words), data.target)


@torch.no_grad()
def losses(network: Network, lessons: list[Lesson]) -> dict[str, float]:
    network.eval()
    return {lesson.problem.id: loss(network, lesson.problem, lesson.validation).item() for lesson in lessons}
