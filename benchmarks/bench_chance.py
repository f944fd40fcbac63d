"""Blind models on all 699 tasks of General-Bench, made up: how often one reaches a level or wins a task, and the cost.

Every draw is another suite of the whole catalogue, with the published sotas. Chance is measured for each task, and each
blind model is judged as any run is. At most 5 % of the draws, give or take two standard errors, may end in a level or
a won task.

    python benchmarks/bench_chance.py [--draws N] [--samples N] [--kinds]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "peers"))

from blind_models import MODELS, Answers
from synthetic_tasks import kinds, synthetic_suite
from toy_instruments import ToyInstruments

from echelon.adapters import Card
from echelon.scorer.chance.cache import ChanceCache
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.mapping import sota_of, task_id
from echelon.scorer.verdict.family import TaskState

MOST = 0.05


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--kinds", action="store_true", help="one task of each kind instead of all 699")
    given = parser.parse_args()
    entries = kinds(catalogue().entries) if given.kinds else list(catalogue().entries)
    sota = {task_id(entry): figure for entry in entries if (figure := sota_of(entry)) is not None}
    instruments, wrong, judged, spent = ToyInstruments(), 0, 0, 0.0
    for seed in range(given.draws):
        suite = synthetic_suite(entries, seed, given.samples)
        with tempfile.TemporaryDirectory() as folder:
            cache = ChanceCache(Path(folder) / "chance.sqlite")
            for name, model in MODELS.items():
                started = time.process_time()
                evaluation = Evaluation(
                    suite, f"{seed:064}", Card("1", (), name=name), "here:1/blind", 0, {}, suite.tasks, frozenset(),
                    instruments, cache=cache,
                )  # fmt: skip
                result = evaluate(evaluation, Answers(suite, model, instruments), sota, viewed=0)
                spent += time.process_time() - started
                levels = [
                    (level.level, verdict.certified.level)
                    for level, verdict in zip(result.levels, result.verdicts, strict=True)
                ]
                won = [
                    task.task.id
                    for task in result.tasks
                    if task.won or (task.verdict and task.verdict.sota and task.verdict.sota.state is TaskState.WON)
                ]
                judged += 1
                wrong += bool(won) or any(map(any, levels))
                print(f"seed {seed}, {name}: levels (paper, certified) {levels}, won {won or 'none'}", flush=True)
    limit = MOST + 2 * sqrt(MOST * (1 - MOST) / judged)
    print(f"{len(entries)} tasks of {given.samples} samples, {spent:.0f} s of processor time")
    print(f"a level or a won task: {wrong} of {judged} runs, at most {limit:.1%}")
    return int(wrong / judged > limit)


if __name__ == "__main__":
    sys.exit(main())
