"""How often the verdict claims what is not so, in the least favourable cases known, and what it finds.

Every model here is exactly at its sota. What can be enumerated is exact; the rest is drawn, with seeds and standard
errors, and what exceeds its limit is drawn again four times as often with other seeds. Ends with 1 where a rate
exceeds what the verdict promises by more than two standard errors. See docs/verdict.md.

    python benchmarks/bench_error_rates.py [--full] [--draws N] [--only GROUP ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from error_rates import exact, front_door, least_favourable, models, pooled, power, proportions, runs, unlike_clusters
from error_rates.judge import ALPHA, Judge, ps, states, t_test
from error_rates.models import Case
from error_rates.rates import Rate, as_json, drawn_rates, lines
from harness import report

SEED, AGAIN = 7, 4
CHECKED = 5
"""Draws of each case for which the states that a run shows are compared with the p values."""
GROUPS = ("numbers", "accuracy", "searched", "drawn", "run", "power", "control")


def drawn(judge: Judge, case: Case, draws: range, seed: int) -> np.ndarray:
    """Both p values of each draw."""
    randoms = (np.random.Generator(np.random.Philox(key=[seed, place])) for place in draws)
    return np.array([judge(case.draw(random)) for random in randoms])


def case_rates(judge: Judge, case: Case, draws: int) -> Iterator[Rate]:
    """The rates of a case that is drawn."""
    draws = max(100, round(draws * case.share))
    found, again = drawn(judge, case, range(draws), SEED), None
    for claim in case.claims:
        place, about = ("win", "below").index(claim), (case.group, case.name, claim, case.n)
        rates = drawn_rates(about, found[:, place], ALPHA, SEED, case.assumes)
        if any(rate.exceeds for rate in rates):
            if again is None:
                again = drawn(judge, case, range(AGAIN * draws), SEED + 1)
            rates = drawn_rates(about, again[:, place], ALPHA, SEED + 1, case.assumes)
        yield from rates


def contradictions(case: Case) -> int:
    """Draws whose state in a run is not what their p values say."""
    wrong = 0
    for place in range(CHECKED):
        observed = case.draw(np.random.Generator(np.random.Philox(key=[SEED, place])))
        above, below = ps(observed)
        won, lost = states(observed)
        wrong += won and above > ALPHA
        wrong += lost and below > ALPHA
    return wrong


def found_wrong() -> Iterator[Rate]:
    """A t test in the verdict's place; were it not found wrong, the cases could find nothing."""
    yield from (rate for rate in least_favourable.audited(t_test) if rate.claim == "win")


def show(rates: Iterator[Rate]) -> list[Rate]:
    """Print the rates case by case."""
    shown, batch = [], []
    for rate in rates:
        if batch and rate.case != batch[-1].case:
            print(*lines(batch), sep="\n", flush=True)
            batch = []
        batch.append(rate)
        shown.append(rate)
    print(*lines(batch), sep="\n", flush=True)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="more sizes, draws and slow metrics; about an hour")
    parser.add_argument("--draws", type=int, help="draws of each case")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS)
    parser.add_argument("--json", type=Path, help="write the rates there")
    options = parser.parse_args()
    full, started = options.full, time.process_time()
    draws = options.draws or (2_000 if full else 200)
    rates: list[Rate] = []
    missed = False
    if "numbers" in options.only:
        for name, check in (("SciPy's binomial", proportions.largest_error), ("exact fractions", exact.largest_error)):
            error, where, wrong, total = check()
            missed |= wrong > 0
            report(f"p values against {name}", f"{wrong} of {total:,} are off", "0 beyond 1e-6", met=not wrong)
            print(f"    the largest error is {error:.2g} of what is allowed: {where}")
    if "accuracy" in options.only:
        rates += show(proportions.rates(ps, full=full))
    if "searched" in options.only:
        rates += show(least_favourable.rates(ps, full=full))
        rates += show(unlike_clusters.rates(ps))
    if "drawn" in options.only:
        chosen = [*models.cases(full=full), *pooled.cases(full=full)]
        rates += show(rate for case in chosen for rate in case_rates(ps, case, draws))
        wrong = sum(map(contradictions, chosen))
        missed |= wrong > 0
        report("states that the p values contradict", f"{wrong} of {CHECKED * len(chosen)}", "0", met=not wrong)
    if "run" in options.only:
        rates += show(front_door.rates())
        rates += show(runs.rates(max(50, draws // 2), full=full))
    if "power" in options.only:
        show(power.rates(ps, draws))
    if "control" in options.only:
        blind = [rate for rate in found_wrong() if not rate.exceeds]
        missed |= bool(blind)
        report("a t test in its place is found wrong", f"{len(blind)} cases miss it", "0", met=not blind)
    failing = {(rate.group, rate.case, rate.claim, rate.n) for rate in rates if rate.fails}
    every = {(rate.group, rate.case, rate.claim, rate.n) for rate in rates}
    report("false claims", f"{len(failing)} of {len(every)} exceed", "0 beyond 5 % + 2 errors", met=not failing)
    print(f"{time.process_time() - started:.0f} s CPU")
    if options.json:
        options.json.write_text(as_json(rates), encoding="utf-8")
    return int(missed or bool(failing))


if __name__ == "__main__":
    sys.exit(main())
