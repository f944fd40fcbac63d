"""Blind models on all 699 tasks of General-Bench, made up: how often one reaches a level or wins a task, and the cost.

Every draw is another suite of the whole catalogue, with the published sotas. Chance is measured for each task, and each
blind model is judged as any run is. At most 5 % of the draws, give or take two standard errors, may end in a level or
a won task.

    python benchmarks/bench_chance.py [--draws N] [--samples N] [--kinds | --starter]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from math import sqrt
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "peers"))

from blind_models import MODELS, Answers, Model
from synthetic_tasks import kinds, synthetic_suite
from toy_instruments import ToyInstruments

from echelon.adapters import Card
from echelon.scorer.chance.cache import ChanceCache
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.mapping import sota_of, task_id
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.starter import Starter
from echelon.scorer.suites.suite import Suite
from echelon.scorer.verdict.family import TaskState

MOST = 0.05


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--samples", type=int, default=24)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--kinds", action="store_true", help="one task of each kind instead of all 699")
    chosen.add_argument("--starter", action="store_true", help="the built-in suite, without sotas")
    given = parser.parse_args()
    wrong, judged, spent = 0, 0, 0.0
    for seed in range(given.draws):
        with tempfile.TemporaryDirectory() as folder:
            if given.starter:
                suite, sota = starter(Path(folder) / "starter", seed, given.samples), {}
            else:
                suite, sota = general_bench(seed, given.samples, kinds_only=given.kinds)
            cache = ChanceCache(Path(folder) / "chance.sqlite")
            for name, model in MODELS.items():
                started = time.process_time()
                judged += 1
                wrong += reaches_something(f"seed {seed}, {name}", judge(suite, sota, name, model, cache))
                spent += time.process_time() - started
    limit = MOST + 2 * sqrt(MOST * (1 - MOST) / judged)
    print(f"{len(suite.tasks)} tasks of {given.samples} samples, {spent:.0f} s of processor time")
    print(f"a level or a won task: {wrong} of {judged} runs, at most {limit:.1%}")
    return int(wrong / judged > limit)


def general_bench(seed: int, samples: int, *, kinds_only: bool) -> tuple[Suite, dict[str, Sota]]:
    """Make up a suite of the whole catalogue, or of one task of each kind, with the published sotas."""
    entries = kinds(catalogue().entries) if kinds_only else list(catalogue().entries)
    sota = {task_id(entry): figure for entry in entries if (figure := sota_of(entry)) is not None}
    return synthetic_suite(entries, seed, samples), sota


def starter(folder: Path, seed: int, samples: int) -> Suite:
    """Build the starter suite of that seed."""
    Starter().build(folder, samples=samples, seed=seed)
    return FolderSuite(folder)


def judge(suite: Suite, sota: Mapping[str, Sota], name: str, model: Model, cache: ChanceCache) -> RunResult:
    """Evaluate a blind model's answers as those of any run."""
    instruments = ToyInstruments()
    evaluation = Evaluation(
        suite, "0" * 64, Card("1", (), name=name), "here:1/blind", 0, {}, suite.tasks, frozenset(), instruments,
        cache=cache,
    )  # fmt: skip
    return evaluate(evaluation, Answers(suite, model, instruments), sota, viewed=0)


def reaches_something(label: str, result: RunResult) -> bool:
    """Whether the run has a level, by the gate or certified, or a won task."""
    levels = [
        (level.level, verdict.certified.level) for level, verdict in zip(result.levels, result.verdicts, strict=True)
    ]
    won = [
        task.task.id
        for task in result.tasks
        if task.won or (task.verdict and task.verdict.sota and task.verdict.sota.state is TaskState.WON)
    ]
    print(f"{label}: levels (paper, certified) {levels}, won {won or 'none'}", flush=True)
    return bool(won) or any(map(any, levels))


if __name__ == "__main__":
    sys.exit(main())
