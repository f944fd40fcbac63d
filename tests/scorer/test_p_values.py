"""P values against exact rational sums and SciPy's distributions, on grids that are enumerated."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.metrics.metric import Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.verdict.budget import ALPHA, Budget
from echelon.scorer.verdict.difference import above, sampled_score
from echelon.scorer.verdict.evidence import Evidence
from echelon.scorer.verdict.family import TaskState, decide
from echelon.scorer.verdict.p_value import p_not_above_zero, z_score
from echelon.scorer.verdict.task import Measured, Opponent, examine

SOTAS = (0.0001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999)


def proportion(right: int, n: int) -> Evidence:
    """`right` of `n` answers, as the verdict sees them."""
    counts = np.array([n - right, right], dtype=np.float64)
    seen = counts > 0
    return Evidence(np.array([0.0, 1.0])[seen], np.ones(2)[seen], 0.0, 1.0, 1.0, counts[seen])


def agrees(found: float, exact: float) -> bool:
    return abs(found - exact) <= max(1e-6 * exact, 1e-12)


def wrong_p_values(n: int, sota: float, numbers: Iterator[int]) -> list[tuple[int, float, float]]:
    """The p values, in both directions, that differ from the binomial tails; not above 0.5 where nothing is claimed."""
    wrong = []
    for right in numbers:
        score = proportion(right, n)
        above_p, below_p = float(binom.sf(right - 1, n, sota)), float(binom.cdf(right, n, sota))
        if right / n <= sota:
            above_p = max(above_p, 0.5)
        if right / n >= sota:
            below_p = max(below_p, 0.5)
        found = score.above(sota), score.below(sota)
        if not (agrees(found[0], above_p) and agrees(found[1], below_p)):
            wrong.append((right, *found))
    return wrong


@pytest.mark.parametrize("n", [20, 50, 100, 200, 500, 521, 540, 1000])
def test_every_number_of_right_answers_has_the_binomial_p_values(n: int) -> None:
    assert [wrong for sota in SOTAS for wrong in wrong_p_values(n, sota, iter(range(n + 1)))] == []


@pytest.mark.parametrize("n", [2000, 5000, 20000])
def test_every_likely_number_of_many_right_answers_has_the_binomial_p_values(n: int) -> None:
    for sota in SOTAS:
        low, high = int(binom.ppf(1e-9, n, sota)), int(binom.isf(1e-9, n, sota))
        assert wrong_p_values(n, sota, iter(range(low, high + 1))) == []


@pytest.mark.parametrize("n", [20, 200, 1000])
@pytest.mark.parametrize("percent", [Fraction(1), Fraction(50), Fraction(98), Fraction(99), Fraction(9999, 100)])
def test_p_values_are_the_exact_rational_sums(n: int, percent: Fraction) -> None:
    share = percent / 100
    tail = Fraction(0)
    for right in range(n, 0, -1):
        tail += comb(n, right) * share**right * (1 - share) ** (n - right)
        exact = float(tail)
        if right > share * n:
            assert agrees(proportion(right, n).above(float(share)), exact)


def test_no_model_below_a_high_sota_has_a_small_p_value() -> None:
    """The 2,353 losing scores of the audit, and more: whatever is not above its sota never comes near a win."""
    small = [
        (right, n, sota)
        for n in (100, 300, 500, 1000, 2000, 5000)
        for sota in (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9995)
        for right in range(int(n * (sota - 0.1)), int(n * sota) + 1)
        if proportion(right, n).above(sota) < 0.5
    ]
    assert small == []


@pytest.mark.parametrize(("right", "n", "sota"), [(974, 1000, 0.99), (495, 500, 0.999), (4995, 5000, 0.9999)])
@pytest.mark.parametrize("samples", [None, 10**9])
def test_a_model_below_its_sota_is_never_won(right: int, n: int, sota: float, samples: int | None) -> None:
    rows: list[Stats] = [(float(k < right), 1.0) for k in range(n)]
    model = Measured(metric("accuracy"), rows, [f"{k:05}" for k in range(n)], (0.0, 1.0))
    verdict = decide({"it": examine(model, 0.5, Opponent(sota, n=samples))}, ["it"])["it"]
    assert verdict.sota is not None
    assert verdict.sota.state in (TaskState.UNDECIDED, TaskState.BELOW)
    assert verdict.sota.adjusted_p == 1.0


def exact_tail(values: list[float]) -> float:
    """P(sum of distinct values times standard exponentials <= 0), as a sum of fractions.

    The density of such a sum is a sum of exponentials (partial fractions of its transform).
    """
    exact = [Fraction(value) for value in values]
    not_above = Fraction(0)
    for value in exact:
        if value < 0:
            share = Fraction(1)
            for other in exact:
                if other != value:
                    share *= value / (value - other)
            not_above += share
    return float(not_above)


finite = st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 6))


@given(values=st.lists(finite, min_size=3, max_size=40, unique=True), beyond=st.floats(1e-3, 1e5))
def test_other_values_have_the_exact_probability(values: list[float], beyond: float) -> None:
    worst = min(*values, 0.0) - beyond
    if max(values) <= 0 or 0.0 in values:
        return
    found, exact = p_not_above_zero(np.array(values), np.ones(len(values)), worst), exact_tail([*values, worst])
    # The larger of what is right and what is on the safe side of it.
    assert exact - 1e-12 <= found * (1 + 1e-9) + 1e-12
    assert agrees(found, exact) or abs(found - exact) <= 2e-6 * max(exact, 1 - exact)


@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([20, 100, 500]),
    failures=st.floats(0, 0.05),
    inflated=st.floats(0, 1),
)
def test_the_integral_converges_for_skew_values(seed: int, n: int, failures: float, inflated: float) -> None:
    """Both tails are computed apart from each other, and their sum is known."""
    random = np.random.default_rng(seed)
    values = np.where(random.random(n) < inflated, 0.01, random.beta(0.3, 0.3, n) - 0.5)
    values = np.where(random.random(n) < failures, -1.0, values) + 1e-4 * random.random(n)
    worst = -1.0
    both = p_not_above_zero(values, np.ones(n), worst), p_not_above_zero(-np.append(values, worst), np.ones(n + 1), 0.0)
    assert sum(both) == pytest.approx(1, abs=2e-6)


def general_bench_sotas() -> list[float]:
    """The sotas of General-Bench's tasks of right and wrong answers, as fractions."""
    names = ("accuracy", "exact_match")
    return [aim.sota / 100 for aim in catalogue().aims if aim.metric.startswith(names) and aim.sota is not None]


@pytest.mark.parametrize("n", [200, 500])
def test_models_at_all_of_general_benchs_sotas_win_nothing_even_where_the_sotas_had_luck_too(n: int) -> None:
    """Enumerated: P(some false win) in a family of 700, both the model and the sota measured on `n` samples."""
    threshold = Budget.of(ALPHA).won / 700
    fewest = np.full(n + 1, n + 1)
    for its in range(n + 1):
        low, high = its, n + 1
        while high - low > 1:
            middle = (low + high) // 2
            score = proportion(middle, n)
            sota = sampled_score(metric("accuracy"), its / n, score, n, 1.0)
            assert sota is not None
            low, high = (low, middle) if above(score, sota, 0.0) <= threshold else (middle, high)
        fewest[its] = high
    sotas = general_bench_sotas()
    assert len(sotas) > 200
    measured = [float(binom.pmf(np.arange(n + 1), n, share) @ binom.sf(fewest - 1, n, share)) for share in sotas]
    assert 1 - np.prod([1 - p for p in measured]) <= Budget.of(ALPHA).won
    constant = [float(binom.sf(fewest[min(n, int(np.ceil(share * n)))] - 1, n, share)) for share in sotas]
    assert 1 - np.prod([1 - p for p in constant]) <= Budget.of(ALPHA).won


@pytest.mark.parametrize(
    ("n", "right", "its"), [(1000, 750, 0), (2000, 2000, 0), (2000, 1999, 1000), (5000, 5000, 2500)]
)
def test_the_clearest_of_leads_over_a_measured_figure_has_the_least_p_value(n: int, right: int, its: int) -> None:
    """Both scores' p values are below what a float can tell from 0 there."""
    score = proportion(right, n)
    sota = sampled_score(metric("accuracy"), its / n, score, n, 1.0)
    assert sota is not None
    assert above(score, sota, 0.0) < 1e-100


@pytest.mark.parametrize("n", [20, 100, 2000])
def test_a_larger_lead_over_a_measured_figure_never_has_a_larger_p_value(n: int) -> None:
    for its in {0, 1, n // 10, n // 2, n - 1}:
        found = []
        for right in np.unique(np.linspace(its + 1, n, 40).astype(int)).tolist():
            sota = sampled_score(metric("accuracy"), its / n, proportion(right, n), n, 1.0)
            assert sota is not None
            found.append(z_score(above(proportion(right, n), sota, 0.0)))
        assert all(later >= earlier - 0.02 for earlier, later in pairwise(found))
