"""Whole runs whose truth is known: is a level, a won task or the bound of S2 wrong, and all of these together?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.stats import binom

from echelon.scorer.levels import EDITIONS, sigma
from echelon.scorer.suites.suite import Modality, Paradigm
from error_rates.judge import ALPHA, Run, RunTask, judge_run
from error_rates.profiles import rows_of
from error_rates.proportions import ACCURACY, Observed, observed
from error_rates.rates import Rate, joint_rate

SAMPLES = 200
SIDES = (Paradigm.COMPREHENSION, Paradigm.GENERATION)
SLACK = 1e-9


class Truth(NamedTuple):
    """What is true of a run's model: the highest level, S2 and S3 by edition, and which tasks are above their sotas."""

    level: int
    s2: float
    s3: float
    above: frozenset[int]
    below: frozenset[int]


Draw = Callable[[Generator], tuple[list[RunTask], Truth]]


def rates(draws: int, *, full: bool, seed: int = 11) -> Iterator[Rate]:
    """The rates of each kind of false claim, and of any."""
    for name, tasks, draw in _cases(full=full):
        hits: dict[str, int] = {}
        for place in range(draws):
            random = np.random.Generator(np.random.Philox(key=[seed, place]))
            drawn, truth = draw(random)
            for claim, wrong in _wrong(judge_run(drawn), truth).items():
                hits[claim] = hits.get(claim, 0) + wrong
        for claim, count in hits.items():
            yield joint_rate(("run", name, claim, str(SAMPLES)), count, draws, seed, ALPHA, tasks)


def _wrong(run: Run, truth: Truth) -> dict[str, bool]:
    """Which of a run's claims are false; `any` is what the run promises to be at most at alpha."""
    levels = any(verdict.certified.level > truth.level for verdict in run.levels.values())
    wins = bool(set(run.won) - truth.above)
    s2 = any(verdict.certified.s2 > truth.s2 + SLACK for verdict in run.levels.values())
    s3 = run.levels["2024"].certified.s3 > truth.s3 + SLACK
    below = bool(set(run.below) - truth.below)
    return {
        "level": levels,
        "win": wins,
        "S2": s2,
        "S3": s3,
        "below": below,
        "any": levels or wins or s2 or s3 or below,
    }


def _cases(*, full: bool) -> Iterator[tuple[str, int, Draw]]:
    tasks = 100 if full else 20
    for luck in (0.0, 1.0):
        name = f"{tasks} tasks at their sotas, both sides, luck shared {luck:g}"
        yield name, tasks, partial(_at_sotas, tasks, luck, 0.0)
    yield f"{tasks} tasks, every second 15 points above", tasks, partial(_at_sotas, tasks, 0.0, 0.15)
    yield "1 pair, the model 2 points above the reference", 1, _pair_above
    yield "10 tasks of 5 skills at chance", 10, partial(_at_chance, 0.0)
    yield "10 tasks of 5 skills, one skill above chance", 10, partial(_at_chance, 0.3)


def _tasks(counts: Sequence[int], sotas: Sequence[float], chance: float = 0.0) -> list[RunTask]:
    found = []
    for place, (right, sota) in enumerate(zip(counts, sotas, strict=True)):
        seen = replace(observed(right, SAMPLES, sota), chance=chance)
        modality = (Modality.IMAGE, Modality.VIDEO)[place // 2 % 2]
        found.append(RunTask(seen, SIDES[place % 2], modality, f"skill-{place // 2 % 5}"))
    return found


def _at_sotas(tasks: int, luck: float, lift: float, random: Generator) -> tuple[list[RunTask], Truth]:
    """Sotas of 30 to 80 %; where `luck` is shared all tasks have the same quantile. Every second may be above."""
    sotas = np.linspace(0.3, 0.8, tasks)
    better = np.arange(tasks) // 2 % 2 == 0 if lift else np.zeros(tasks, bool)
    truths = sotas + lift * better
    quantiles = np.where(luck > 0, random.random(), random.random(tasks))
    counts = binom.ppf(quantiles, SAMPLES, truths).astype(int)
    sigmas = [sigma("accuracy", float(each), EDITIONS[0]) for each in truths]
    truth = Truth(
        level=4 if lift else 2,
        s2=float(np.mean(sigmas)),
        s3=float(np.mean(np.where(better, sigmas, 0.0))),
        above=frozenset(np.flatnonzero(better).tolist()),
        below=frozenset(),
    )
    return _tasks(counts.tolist(), sotas.tolist()), truth


def _pair_above(random: Generator) -> tuple[list[RunTask], Truth]:
    """One task with a reference run: 72 % against 70 %; the luck of the reference must not become the model's S3."""
    hard = random.random(SAMPLES)
    easy = random.random(SAMPLES) < 0.5
    model = np.where(easy, hard, random.random(SAMPLES)) < 0.72
    reference = np.where(easy, hard, random.random(SAMPLES)) < 0.70
    seen = Observed(ACCURACY, rows_of(model), (0.0, 1.0), reference=rows_of(reference), chance=0.0)
    score = sigma("accuracy", 0.72, EDITIONS[0])
    return [RunTask(seen, Paradigm.COMPREHENSION)], Truth(3, score, score, frozenset({0}), frozenset())


def _at_chance(lift: float, random: Generator) -> tuple[list[RunTask], Truth]:
    """Ten tasks at a chance of a quarter and sotas of 90 %, all of them or all but those of one skill."""
    able = np.arange(10) // 2 % 5 == 0 if lift else np.zeros(10, bool)
    truths = 0.25 + lift * able
    counts = random.binomial(SAMPLES, truths)
    sigmas = [sigma("accuracy", float(each), EDITIONS[0]) for each in truths]
    truth = Truth(1 if lift else 0, float(np.mean(sigmas)), 0.0, frozenset(), frozenset(range(10)))
    return _tasks(counts.tolist(), [0.9] * 10, chance=0.25), truth
