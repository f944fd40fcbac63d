"""The verdict of tasks: p values, bounds, families, and how often they are wrong."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, norm

from echelon.adapters import Box, Boxes, Card, Choice, Number, Part, ScoredLabel
from echelon.scorer.metrics.metric import Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.store import RunRecord
from echelon.scorer.verdict.budget import ALPHA, Budget
from echelon.scorer.verdict.evidence import evidence
from echelon.scorer.verdict.family import TaskState, TaskVerdict, decide, holm
from echelon.scorer.verdict.p_value import p_not_above_zero
from echelon.scorer.verdict.task import Against, Lead, Measured, Opponent, TaskTest, examine
from echelon.scorer.verdict.tries import alpha_of, attempt

WORST = {"accuracy": (0.0, 1.0), "anls": (0.0, 1.0), "wer": (20.0, 20.0), "micro_f1": (0.0, 4.0, 4.0)}


def measured(rows: Sequence[Stats], clusters: Sequence[str] = (), name: str = "accuracy") -> Measured:
    return Measured(metric(name), rows, clusters or [f"{n:05}" for n in range(len(rows))], WORST[name])


def answers(right: int, n: int) -> list[Stats]:
    """`right` samples of `n` are."""
    return [(float(k < right), 1.0) for k in range(n)]


def lead_of(test: TaskTest) -> Lead:
    assert test.lead is not None
    return test.lead


def p_of(model: Measured, opponent: Opponent) -> float:
    return lead_of(examine(model, 0.0, opponent)).above()


def constant_p(model: Measured, figure: float) -> float:
    """The p value against a figure without an error."""
    p = lead_of(examine(model, 0.0, Opponent(figure))).above_constant()
    assert p is not None
    return p


def verdict_of(model: Measured, opponent: Opponent, family: int = 1, alpha: float = ALPHA) -> TaskVerdict:
    tasks = ["it", *(f"other {n}" for n in range(family - 1))]
    return decide({"it": examine(model, 0.0, opponent)}, tasks, alpha)["it"]


def state_of(model: Measured, opponent: Opponent, family: int = 1) -> TaskState:
    sota = verdict_of(model, opponent, family).sota
    assert sota is not None
    return sota.state


@given(better=st.integers(0, 80), worse=st.integers(0, 80), alike=st.integers(20, 400))
def test_paired_zeros_and_ones_are_mcnemars_exact_test(better: int, worse: int, alike: int) -> None:
    model = [(1.0, 1.0)] * better + [(0.0, 1.0)] * worse + [(1.0, 1.0)] * alike
    other = [(0.0, 1.0)] * better + [(1.0, 1.0)] * worse + [(1.0, 1.0)] * alike
    test = examine(measured(model), 0.0, Opponent(0.5, rows=other))
    assert test.method == "exact McNemar"
    expected = binom.sf(better - 1, better + worse, 0.5) if better > worse else 1.0
    assert lead_of(test).above() == pytest.approx(expected, rel=1e-6)


def test_any_other_mean_is_the_probability_that_random_weights_would_show() -> None:
    random = np.random.default_rng(4)
    values = random.beta(4, 2, 40) - 0.6
    exact = p_not_above_zero(values, np.ones(40), -0.6)
    drawn = (random.exponential(size=(200_000, 41)) @ np.append(values, -0.6) <= 0).mean()
    assert exact == pytest.approx(drawn, abs=5 * sqrt(exact / 200_000))
    assert exact > 0.001


def test_bounds_invert_the_test() -> None:
    found = measured(answers(140, 200)).evidence()
    assert found.lower(0.05) == pytest.approx(beta.ppf(0.05, 140, 61), abs=2e-4)
    assert found.upper(0.05) == pytest.approx(beta.ppf(0.95, 141, 60), abs=2e-4)
    assert found.lower(0.05) <= beta.ppf(0.05, 140, 61)
    assert found.lower(0.05 / 700) == pytest.approx(beta.ppf(0.05 / 700, 140, 61), abs=2e-4)


@pytest.mark.parametrize("name", ["anls", "wer", "micro_f1"])
def test_a_bound_is_where_the_p_value_is_alpha(name: str) -> None:
    found = measured(drawn(name, 0.7, 100, Random(3)), name=name).evidence()
    for alpha in (0.05, 0.001):
        assert alpha * 0.98 <= found.above(found.lower(alpha)) <= alpha
        assert alpha * 0.98 <= found.below(found.upper(alpha)) <= alpha


def drawn(name: str, share: float, n: int, random: Random, easiness: Sequence[float] = ()) -> list[Stats]:
    """Stats of `n` samples of that metric, right with a probability of `share` or what `easiness` says for each."""
    rows: list[Stats] = []
    for q in easiness or [share] * n:
        size = random.randint(2, 20) if name == "wer" else random.randint(1, 4)
        hits = float(sum(random.random() < q for _ in range(size)))
        rows.append(
            {
                "accuracy": (float(random.random() < q), 1.0),
                "anls": (hits / size, 1.0),
                "wer": (size - hits, float(size)),
                "micro_f1": (hits, size - hits, size - hits),
            }[name]
        )
    return rows


def test_samples_of_one_cluster_count_as_one_where_they_always_agree() -> None:
    once = measured(answers(45, 60))
    fivefold = measured([row for row in answers(45, 60) for _ in range(5)], [f"{n // 5:03}" for n in range(300)])
    assert constant_p(fivefold, 0.6) == pytest.approx(constant_p(once, 0.6), rel=1e-9)
    assert examine(fivefold, 0.0, Opponent(0.6)).method == "mean of clusters"


@pytest.mark.parametrize("luck", [0.3, 0.05, 0.0005])
def test_one_large_cluster_that_is_right_by_luck_does_not_win(luck: float) -> None:
    """A thousand sure samples, and a hundred that are all right with a probability of `luck`: that is what p allows."""
    model = measured(answers(1100, 1100), [f"{n:04}" if n < 1000 else "large" for n in range(1100)])
    assert constant_p(model, (1000 + 100 * luck) / 1100) >= luck


@pytest.mark.parametrize("name", ["accuracy", "anls", "wer", "micro_f1"])
@pytest.mark.parametrize("pairs", [False, True])
def test_the_order_of_samples_changes_no_bit(name: str, pairs: bool) -> None:
    random = Random(8)
    rows, others = drawn(name, 0.7, 120, random), drawn(name, 0.6, 120, random)
    clusters = [f"{n % 40:03}" for n in range(120)]
    found = set()
    for _ in range(3):
        order = random.sample(range(120), 120)
        model = measured([rows[n] for n in order], [clusters[n] for n in order], name)
        found.add(verdict_of(model, Opponent(0.5, rows=[others[n] for n in order] if pairs else None)))
    assert len(found) == 1


def test_lower_is_better_is_the_same_the_other_way_round() -> None:
    errors: list[Stats] = [(float(n % 5 == 0), 1.0) for n in range(200)]
    model = replace(measured(errors, name="wer"), worst=(1.0, 1.0))
    rights = measured([(1 - row[0], 1.0) for row in errors], name="anls")
    assert constant_p(model, 0.3) == pytest.approx(constant_p(rights, 0.7), rel=0.05)
    found = verdict_of(model, Opponent(0.3))
    assert found.sota is not None
    assert found.sota.lead.value == pytest.approx(0.1)
    assert found.score.value == pytest.approx(0.2)
    assert found.score.lower is not None
    assert found.score.upper is not None
    assert 0 < found.score.lower < 0.2 < found.score.upper < 0.3


def test_states() -> None:
    others = answers(140, 200)
    better = [(1.0, 1.0)] * 170 + answers(0, 30)
    assert state_of(measured(better), Opponent(0.7, rows=others), family=100) is TaskState.WON
    assert state_of(measured(answers(140, 200)), Opponent(0.7, rows=others)) is TaskState.TIE
    assert state_of(measured(answers(160, 200)), Opponent(0.7, n=10**6), family=100) is TaskState.LIKELY
    assert state_of(measured(answers(160, 200)), Opponent(0.7, n=10**6)) is TaskState.WON
    assert state_of(measured(answers(142, 200)), Opponent(0.7)) is TaskState.UNDECIDED
    assert state_of(measured(answers(100, 200)), Opponent(0.7), family=100) is TaskState.BELOW


def test_few_clusters_decide_nothing_however_clear_they_look() -> None:
    model = measured(answers(190, 190), [f"{n % 19}" for n in range(190)])
    found = verdict_of(model, Opponent(0.1))
    assert found.sota is not None
    assert (found.sota.state, found.sota.p, found.chance_p) == (TaskState.UNDECIDED, 1.0, 1.0)
    assert found.obstacle == "19 clusters of samples; nothing is claimed with fewer than 20"
    enough = measured(answers(200, 200), [f"{n % 20}" for n in range(200)])
    assert state_of(enough, Opponent(0.1)) is TaskState.WON


def test_a_few_large_clusters_among_many_small_ones_count_as_few() -> None:
    clusters = [f"{n}" for n in range(95)] + [f"document {n % 5}" for n in range(100)]
    found = verdict_of(measured(answers(195, 195), clusters), Opponent(0.1))
    assert found.clusters == 100
    assert found.obstacle.startswith("100 clusters of samples of such unequal sizes count as 18.2; nothing is claimed")


def test_a_margin_has_to_be_exceeded() -> None:
    others, model = answers(100, 200), measured([(1.0, 1.0)] * 130 + answers(0, 70))
    assert p_of(model, Opponent(0.5, rows=others)) < 1e-6
    assert p_of(model, Opponent(0.5, margin=0.14, rows=others)) > 0.1
    bare = lead_of(examine(model, 0.0, Opponent(0.5, margin=0.05)))
    assert bare.above_constant() == pytest.approx(binom.sf(129, 200, 0.55), rel=1e-9)
    assert bare.above() > 5 * binom.sf(129, 200, 0.55)


def test_a_bare_figure_is_taken_to_have_as_many_samples_as_the_model() -> None:
    model = measured(answers(160, 200))
    tests = {n: examine(model, 0.0, Opponent(0.7, n=n)) for n in (None, 10**9, 200)}
    ps = {n: lead_of(test).above() for n, test in tests.items()}
    assert ps[None] == ps[200]
    assert ps[10**9] == pytest.approx(constant_p(model, 0.7), rel=3e-3)
    assert ps[200] > 10 * ps[10**9]
    assert [lead_of(test).against for test in tests.values()] == [
        Against.CONSTANT,
        Against.SAMPLES,
        Against.SAMPLES,
    ]
    sota = verdict_of(model, Opponent(0.7)).sota
    assert sota is not None
    assert sota.constant_p == pytest.approx(constant_p(model, 0.7))
    assert sota.adjusted_p == pytest.approx(ps[200])


def decibels(values: "np.typing.NDArray[np.float64]") -> Measured:
    rows = [(float(value), 1.0) for value in values]
    return Measured(metric("psnr"), rows, [f"{n:05}" for n in range(len(rows))], (0.0, 1.0))


def test_a_figure_on_an_open_scale_needs_its_standard_error() -> None:
    random = np.random.default_rng(7)
    model = decibels(random.normal(30, 2, 2000))
    for opponent in (Opponent(25.0), Opponent(25.0, n=500)):
        found = verdict_of(model, opponent)
        assert found.sota is not None
        assert (found.sota.state, found.sota.p, found.sota.below_p) == (TaskState.UNDECIDED, 1.0, 1.0)
        assert found.obstacle.startswith("a figure on an open scale compares only with its standard error")
    assert state_of(model, Opponent(25.0, standard_error=0.1)) is TaskState.WON
    assert state_of(model, Opponent(29.9, standard_error=5.0)) is TaskState.UNDECIDED
    with pytest.raises(ValueError, match="standard error must be above 0"):
        Opponent(25.0, standard_error=0.0)


@pytest.mark.parametrize("error", [1e-5, 1e-9, 1e-15])
def test_a_tiny_standard_error_is_as_good_as_none(error: float) -> None:
    model = measured(answers(450, 500))
    assert p_of(model, Opponent(0.7, standard_error=error)) == pytest.approx(constant_p(model, 0.7), rel=0.05)


def test_a_published_standard_error_counts_as_a_normal_one() -> None:
    lead = lead_of(examine(measured(answers(8000, 10000)), 0.0, Opponent(0.7, standard_error=0.05)))
    assert lead.against is Against.STANDARD_ERROR
    # The model's own error of 0.004 hardly adds to it.
    assert lead.above() == pytest.approx(norm.sf(0.1 / sqrt(0.05**2 + 0.004**2)), rel=0.02)
    assert lead.lower(0.05) == pytest.approx(0.1 - 1.645 * sqrt(0.05**2 + 0.004**2), abs=1e-3)


@pytest.mark.parametrize("n", [40, 200, 1000])
@pytest.mark.parametrize("name", ["accuracy", "anls", "wer", "micro_f1"])
def test_bounds_of_a_lead_over_a_measured_sota_invert_its_test(name: str, n: int) -> None:
    model = measured(drawn(name, 0.8, 100, Random(5)), name=name)
    sota = 0.3 if name == "wer" else 0.7
    found = lead_of(examine(model, 0.0, Opponent(sota, n=n)))
    for alpha in (0.05, 0.01):
        margin = found.lower(alpha)
        if margin > 0:
            shifted = lead_of(examine(model, 0.0, Opponent(sota, margin=margin, n=n)))
            assert shifted.above() == pytest.approx(alpha, rel=0.02)
    assert found.lower(0.05) < found.value < found.upper(0.05)
    other_way = lead_of(examine(model, 0.0, Opponent(1.6 - sota if name != "wer" else 0.1, n=n)))
    assert other_way.above() == 1
    assert (other_way.upper(0.05) < 0) == (other_way.below() <= 0.05)


@pytest.mark.parametrize(("n", "sota_n"), [(50, 20), (24, 60)])
def test_a_proportion_against_a_measured_one_is_wrong_in_alpha_of_cases_at_most(n: int, sota_n: int) -> None:
    """Enumerated: both p values of every pair of numbers of right answers, for shares of 1 to 99 %."""
    ps = np.empty((2, n + 1, sota_n + 1))
    for right in range(n + 1):
        model = measured(answers(right, n))
        for its in range(sota_n + 1):
            lead = lead_of(examine(model, 0.0, Opponent(its / sota_n, n=sota_n)))
            ps[:, right, its] = lead.above(), lead.below()
    for share in (0.01, 0.02, 0.05, *np.linspace(0.1, 0.9, 9), 0.95, 0.98, 0.99):
        chances = np.outer(binom.pmf(range(n + 1), n, share), binom.pmf(range(sota_n + 1), sota_n, share))
        for alpha in (0.05, 0.005, 0.0005):
            assert (chances * (ps <= alpha)).sum(axis=(1, 2)).max() <= alpha


@pytest.mark.parametrize(("n", "rate"), [(100, 0.01), (200, 0.01), (500, 0.005)])
def test_failures_that_were_not_seen_are_reckoned_with_in_pairs(n: int, rate: float) -> None:
    """A hair better in every sample seen; the true difference is 0 if a share of `rate` fails, and none may be seen."""
    others: list[Stats] = [(0.8, 1.0)] * n
    lead = 0.8 * rate / (1 - rate)
    model = measured([(0.8 + lead, 1.0)] * n, name="anls")
    unseen = (1 - rate) ** n
    assert p_of(model, Opponent(0.8, rows=others)) >= unseen
    verdict = verdict_of(model, Opponent(0.8, rows=others))
    assert verdict.sota is not None
    assert verdict.sota.state is TaskState.UNDECIDED
    assert verdict.sota.undone_by == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(("name", "usual", "best"), [("psnr", 25.0, 100.0), ("mae", 15.0, 0.0)])
def test_perfect_samples_that_were_not_seen_are_reckoned_with_below(name: str, usual: float, best: float) -> None:
    """The mirror: a model that is exactly at its sota because 1 % of its samples are perfect, and none was seen."""
    rows: list[Stats] = [(usual, 1.0)] * 100
    model = Measured(metric(name, worst=180.0), rows, [f"{n:03}" for n in range(100)], (180.0, 1.0))
    sota = 0.99 * usual + 0.01 * best
    lead = lead_of(examine(model, None, Opponent(sota, standard_error=1e-9)))
    assert lead.below() >= 0.99**100


def test_without_a_known_chance_nothing_is_won() -> None:
    model = measured(answers(190, 200))
    tests = {chance: examine(model, chance, Opponent(0.5)) for chance in (0.4, 0.93, None)}
    verdicts = {chance: decide({"it": test}, ["it"])["it"] for chance, test in tests.items()}
    states = {chance: verdict.sota and verdict.sota.state for chance, verdict in verdicts.items()}
    assert states == {0.4: TaskState.WON, 0.93: TaskState.LIKELY, None: TaskState.LIKELY}
    assert verdicts[None].chance_p == 1.0


def test_holm_is_what_he_published() -> None:
    found = holm({"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.2}, 5)
    assert found == pytest.approx({"a": 0.05, "b": 0.08, "c": 0.09, "d": 0.4})
    assert holm({"a": 0.5}, 5) == {"a": 1.0}


@pytest.mark.parametrize("alpha", [ALPHA, 0.0125])
def test_the_parts_of_alpha_add_up_to_it(alpha: float) -> None:
    budget = Budget.of(alpha)
    assert budget.won + budget.below + budget.chance + budget.bounds == pytest.approx(alpha, rel=1e-12)
    assert 8 * budget.bound == pytest.approx(budget.bounds)


def test_a_declared_task_without_a_result_stays_in_the_family() -> None:
    sotas = [verdict_of(measured(answers(152, 200)), Opponent(0.7), family).sota for family in (1, 7)]
    assert sotas[0] is not None
    assert sotas[1] is not None
    assert sotas[1].adjusted_p == pytest.approx(7 * sotas[0].adjusted_p)


@pytest.mark.parametrize(
    "opponent", [Opponent(0.7, n=10**7), Opponent(0.7, n=5000), Opponent(0.7, standard_error=0.005)]
)
def test_as_many_samples_as_are_said_to_be_needed_decide(opponent: Opponent) -> None:
    sota = verdict_of(measured(answers(146, 200)), opponent, family=10).sota
    assert sota is not None
    assert sota.needed_n is not None
    times = sota.needed_n / 200
    more = measured(answers(round(146 * times), round(200 * times)))
    fewer = measured(answers(round(146 * times * 0.9), round(200 * times * 0.9)))
    assert p_of(more, opponent) <= Budget.of(ALPHA).won / 10 < p_of(fewer, opponent)


def test_no_number_of_samples_decides_what_the_sotas_own_error_hides() -> None:
    sota = verdict_of(measured(answers(146, 200)), Opponent(0.7, n=200), family=10).sota
    assert sota is not None
    assert sota.needed_n is None


@pytest.mark.parametrize("chance", [0.73, 0.8, None])
def test_no_number_of_samples_decides_where_the_score_is_not_above_chance(chance: float | None) -> None:
    test = examine(measured(answers(146, 200)), chance, Opponent(0.7, n=10**7))
    sota = decide({"it": test}, [f"other {n}" for n in range(9)] + ["it"])["it"].sota
    assert sota is not None
    assert (sota.state, sota.needed_n) == (TaskState.UNDECIDED, None)


def test_no_sample_is_large_enough_for_no_difference() -> None:
    sota = verdict_of(measured(answers(140, 200)), Opponent(0.7)).sota
    assert sota is not None
    assert (sota.state, sota.needed_n) == (TaskState.UNDECIDED, None)


def test_a_metric_without_sums_is_judged_by_leaving_out_groups() -> None:
    random = Random(2)
    rows: list[Stats] = [
        (float(t := random.randrange(3)), float(t if random.random() < 0.8 else 3)) for _ in range(150)
    ]
    measure = metric("macro_f1", labels=("a", "b", "c"))
    found = evidence(measure, rows, [f"{n}" for n in range(150)], (0.0, -1.0))
    assert found.value == pytest.approx(measure.finish(rows))
    assert found.value - 0.1 < found.lower(0.05) < found.value < found.upper(0.05) < found.value + 0.1


@pytest.mark.parametrize(
    ("name", "row", "worst"),
    [
        ("accuracy", (0.0, 1.0), (0.0, 1.0)),
        ("wer", (0.0, 1.0), (1.0, 1.0)),
        ("micro_f1", (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)),
        ("macro_f1", (1.0, 1.0), (1.0, -1.0)),
    ],
)
def test_a_single_sample_is_no_trouble(name: str, row: Stats, worst: Stats) -> None:
    found = verdict_of(Measured(metric(name), [row], ["one"], worst), Opponent(0.5))
    assert found.sota is not None
    assert (found.sota.state, found.n, found.clusters) == (TaskState.UNDECIDED, 1, 1)


@given(right=st.integers(0, 60), sota=st.sampled_from([0.0, 1e-12, 1 - 1e-12, 1.0]))
def test_sotas_at_the_ends_of_the_scale_are_no_trouble(right: int, sota: float) -> None:
    p = constant_p(measured(answers(right, 60)), sota)
    assert p == pytest.approx(binom.sf(right - 1, 60, sota), rel=1e-6, abs=1e-290)


def test_tries_at_a_closed_set_never_spend_more_than_alpha() -> None:
    card = Card("1", (), name="mine")
    records = [
        RunRecord(f"{n}" * 64, {"digest": "d" if n != 1 else "e"}, card, "here:1/mine", 0, {}, f"2026-01-0{n}")
        for n in range(1, 5)
    ]
    assert [attempt(record, records) for record in records] == [1, 1, 2, 3]
    assert attempt(replace(records[2], created="2027"), records) == 2
    assert attempt(replace(records[3], run="9" * 64, card=replace(card, name="other")), records) == 1
    spent = [alpha_of(replace(records[0], suite={"attempt": n})) for n in range(1, 60)]
    assert spent[:2] == [ALPHA / 2, ALPHA / 4]
    assert sum(spent) <= ALPHA
    assert alpha_of(records[0]) == ALPHA


HARD = [
    ("accuracy", 0.98, 100, 20, 0.3, False),
    ("accuracy", 0.02, 100, 20, 0.3, False),
    ("accuracy", 0.5, 100, None, 0.0, False),
    ("accuracy", 0.9, 200, 50, 0.3, True),
    ("anls", 0.95, 100, 25, 0.3, False),
    ("wer", 0.95, 100, None, 0.0, False),
    ("wer", 0.7, 100, None, 0.0, True),
    ("micro_f1", 0.9, 100, None, 0.0, False),
]


@pytest.mark.parametrize(("name", "share", "n", "clusters", "icc", "pairs"), HARD)
def test_a_model_exactly_at_its_sota_rarely_wins(
    name: str, share: float, n: int, clusters: int | None, icc: float, pairs: bool
) -> None:
    seeds, wins = 200, 0
    for seed in range(seeds):
        random = Random(seed)
        ids = (
            list(range(n))
            if clusters is None
            else [k if k < clusters else random.randrange(clusters) for k in range(n)]
        )
        rows = [
            drawn(name, share, n, random, [q[k] for k in ids]) for q in (eased(share, icc, ids, random) for _ in "ab")
        ]
        sota = 1 - share if name == "wer" else share
        opponent = Opponent(sota, rows=rows[1]) if pairs else Opponent(sota)
        model = measured(rows[0], [f"{k:04}" for k in ids], name)
        wins += (p_of(model, opponent) if pairs else constant_p(model, sota)) <= ALPHA
    assert wins / seeds <= ALPHA + 2 * sqrt(ALPHA * (1 - ALPHA) / seeds)


def eased(share: float, icc: float, ids: Sequence[int], random: Random) -> list[float]:
    """How probable a right answer is in each cluster."""
    scale = 1 / icc - 1 if icc else 0.0
    return [random.betavariate(share * scale, (1 - share) * scale) if icc else share for _ in range(max(ids) + 1)]


def test_five_points_on_many_tasks_are_found() -> None:
    found = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        ps = {
            str(n): p_of(measured(answers(int(random.binomial(500, sota + 0.05)), 500)), Opponent(sota))
            for n, sota in enumerate(np.linspace(0.3, 0.94, 100))
        }
        found += min(holm(ps, len(ps)).values()) <= ALPHA
    assert found == 6


def test_a_score_that_depends_on_the_number_of_samples_needs_a_reference_run() -> None:
    random = np.random.default_rng(0)
    clouds = [random.normal(shift, 1, (300, 2)) for shift in (0.0, 3.0)]
    rows = [[(1.0, 2.0, *own, *other) for own, other in zip(cloud, clouds[0][::-1], strict=True)] for cloud in clouds]
    measure = metric("fid", worst=30.0)
    model = Measured(measure, rows[0], [f"{n}" for n in range(300)], (0.0, 2.0, *clouds[0][0]))
    constant, paired = (
        decide({"it": examine(model, 20.0, opponent)}, ["it"])["it"]
        for opponent in (Opponent(9.0), Opponent(9.0, rows=rows[1]))
    )
    assert constant.sota is not None
    assert (constant.sota.state, constant.sota.needed_n) == (TaskState.UNDECIDED, None)
    assert constant.obstacle == "such a score compares only with that of a reference run on the same samples"
    assert paired.sota is not None
    assert paired.sota.state is TaskState.WON


def boxed(label: str) -> Boxes:
    return Boxes((Box(0.1, 0.1, 0.4, 0.4, label),))


def label(name: str) -> Choice:
    return Choice((ScoredLabel(name),))


@pytest.mark.parametrize(
    ("name", "common", "rare"),
    [
        ("macro_f1", (label("a"), label("a")), (label("b"), label("b"))),
        ("macro_accuracy", (label("a"), label("a")), (label("b"), label("b"))),
        ("auc", (Number(0.1), Number(0)), (Number(0.9), Number(1))),
        ("ap_anomaly", (Number(0.1), Number(0)), (Number(0.9), Number(1))),
        ("ap50", (boxed("a"), boxed("a")), (boxed("b"), boxed("b"))),
    ],
)
def test_three_samples_of_a_rare_kind_that_are_all_right_win_nothing(
    name: str, common: tuple[Part, Part], rare: tuple[Part, Part]
) -> None:
    """A failed sample more would be one of the rare kind: three right ones come with 0.73 where 90 % are right."""
    measure = metric(name)
    rows = [measure.compare(*common)] * 97 + [measure.compare(*rare)] * 3
    model = Measured(measure, rows, [f"{n:03}" for n in range(100)], measure.worst([common[1]]))
    assert measure.finish(rows) == 1
    assert constant_p(model, 0.95) > 0.3
    plenty = Measured(measure, rows[:50] + rows[-1:] * 50, model.clusters, model.worst)
    assert constant_p(plenty, 0.85) < 1e-3
