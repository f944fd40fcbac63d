"""What the verdict costs: 700 tasks with 325,000 samples of mean and ratio metrics, against constants and in pairs."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace

import numpy as np
from harness import report

from echelon.adapters import Composition, Kind
from echelon.scorer.levels import EDITIONS, gate_won, sigma
from echelon.scorer.metrics.registry import metric
from echelon.scorer.outcomes import State
from echelon.scorer.results import Sota, TaskResult
from echelon.scorer.suites.suite import Modality, Paradigm, Task
from echelon.scorer.verdict.budget import ALPHA
from echelon.scorer.verdict.family import decide
from echelon.scorer.verdict.levels import level_verdict
from echelon.scorer.verdict.task import Measured, Opponent, examine

TASKS, SAMPLES = 700, 464
METRICS = ("accuracy", "anls", "wer", "micro_f1", "psnr", "miou")
WORST = {"wer": (30.0, 30.0), "micro_f1": (0.0, 30.0, 30.0), "miou": (0.0,) * 20 + (900.0,) * 20}
LABELS = tuple(f"class {n}" for n in range(20))


def drawn(name: str, random: np.random.Generator) -> list[tuple[float, ...]]:
    """Stats as a model's answers might give them."""
    size = random.integers(3, 30, SAMPLES).astype(float)
    hits = random.binomial(size.astype(int), 0.7).astype(float)
    columns = {
        "accuracy": (random.random(SAMPLES) < 0.7, np.ones(SAMPLES)),
        "anls": (random.beta(4, 2, SAMPLES), np.ones(SAMPLES)),
        "wer": (size - hits, size),
        "micro_f1": (hits, size - hits, size - hits),
        "psnr": (random.normal(25, 4, SAMPLES).clip(0, 100), np.ones(SAMPLES)),
    }
    if name == "miou":
        unions = random.integers(100, 900, (SAMPLES, len(LABELS))).astype(float)
        table = np.hstack([(unions * random.random(unions.shape)).round(), unions])
    else:
        table = np.column_stack(columns[name]).astype(float)
    return [tuple(row) for row in table.tolist()]


def task(index: int) -> tuple[TaskResult, Measured, Opponent]:
    """A task, what it came to, and its sota; every third shares media, every second has a reference run."""
    name = METRICS[index % len(METRICS)]
    random = np.random.default_rng(index)
    measure = metric(name, labels=LABELS)
    rows, others = drawn(name, random), drawn(name, random)
    clusters = [f"{n // (4 if index % 3 == 0 else 1):064x}" for n in range(SAMPLES)]
    score, sota = measure.finish(rows), measure.finish(others)
    opponent = Opponent(sota, rows=others) if index % 2 else Opponent(sota)
    measured = Measured(measure, rows, clusters, WORST.get(name, (0.0, 1.0)))
    paradigm = (Paradigm.COMPREHENSION, Paradigm.GENERATION, Paradigm.LANGUAGE)[index % 5 % 3]
    about = Task(f"task-{index}", "", list(Modality)[index % 4], paradigm, name, "", (Kind.TEXT,), "text", name, 0.0)
    sigmas = [{edition: sigma(name, value, edition) for edition in EDITIONS} for value in (score, sota)]
    up = measure.higher_is_better
    return (
        TaskResult(
            task=about,
            metric_id=measure.id,
            higher_is_better=up,
            unit=measure.unit,
            sample_count=SAMPLES,
            counts={State.ANSWERED: SAMPLES},
            score=score,
            sota=Sota(sota, "a benchmark", run="another" if index % 2 else ""),
            sigmas=sigmas[0],
            sota_sigmas=sigmas[1],
            above_chance=True,
            won=gate_won(score, sota, up),
        ),
        measured,
        opponent,
    )


def main() -> None:
    spent = 0.0
    results, tests = [], {}
    for index in range(TASKS):
        result, measured, opponent = task(index)
        started = time.process_time()
        tests[result.task.id] = examine(measured, 0.0, opponent)
        spent += time.process_time() - started
        results.append(result)
    started = time.process_time()
    verdicts = decide(tests, tests.keys())
    tasks = [replace(each, verdict=verdicts[each.task.id]) for each in results]
    for edition in EDITIONS:
        level_verdict(edition, tasks, Composition.SINGLE, ALPHA)
    spent += time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    report(f"verdict, {TASKS} tasks, {TASKS * SAMPLES:,} samples", f"{spent:.1f} s CPU", "<= 5 s", met=spent <= 5)
    report("verdict, peak memory", f"{peak:.0f} MB", "<= 500 MB", met=peak <= 500)


if __name__ == "__main__":
    main()
