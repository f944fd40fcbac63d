"""The least favourable models among those with a few kinds of samples, searched on grids and enumerated exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from error_rates.judge import ALPHA, Judge
from error_rates.profiles import Profile, balanced, constant, false_claims, worst_of
from error_rates.rates import Rate, exact_rates

CREDIT, DECIBELS, ERROR = metric("anls"), metric("psnr"), metric("mae", worst=180.0)
OFTEN = (0.3, 1.0, 2.0, 3.0, 4.5, 6.7, 9.5, 13.0)
"""How many rare samples to expect; -ln(alpha / m) of them is least favourable where the floor is right."""

AUDITED = {
    "credit, 1 % fail (0), others +0.008": (100, CREDIT, 0.0, (0.01, 0.0, 0.792), 0.792),
    "credit, 1 % fail": (200, CREDIT, 0.0, (0.01, 0.0, 0.792), 0.792),
    "credit, 0.5 % fail": (500, CREDIT, 0.0, (0.005, 0.0, 0.792), 0.792),
    "PSNR, 1 % fail (0 dB)": (200, DECIBELS, 0.0, (0.01, 0.0, 25.0), 25.0),
    "MAE, worst 180, 1 % fail": (200, ERROR, 180.0, (0.01, 180.0, 15.0), 15.0),
}
"""Pairs that the audit found certified: samples, metric, worst, the rare (probability, model, reference), the usual."""


def rates(judge: Judge, *, full: bool) -> Iterator[Rate]:
    """All cases; `full` looks at more sizes and at three kinds of samples."""
    yield from audited(judge)
    for name, claim, build, grid in _searches():
        for samples in (20, 50, 100, 200, 500, 1000) if full else (20, 500):
            found, where = worst_of(build, samples, judge, claim, often=OFTEN, **grid)
            case = f"{name} [{where}]"
            yield from exact_rates(("searched", case, ("win", "below")[claim], str(samples)), found, ALPHA)
    for samples in (20, 50) if full else (20,):
        yield from _three_kinds(judge, samples)


def audited(judge: Judge) -> Iterator[Rate]:
    """The pairs that the audit found certified."""
    for name, (samples, measure, worst, rare, usual) in AUDITED.items():
        profile = balanced(measure, worst, [rare], usual)
        assert profile is not None
        win, below = false_claims(profile, samples, judge)
        yield from exact_rates(("pairs", name, "win", str(samples)), win.tolist(), ALPHA)
        yield from exact_rates(("pairs", name, "below", str(samples)), below.tolist(), ALPHA)


def _searches() -> Iterator[tuple[str, int, Callable[..., Profile | None], dict[str, Sequence[float]]]]:
    """The searched families of models: name, claim (0 win, 1 below), how a model is made, and the grid."""
    pair = partial(partial, _pair)
    yield "pairs of credit, rare failures", 0, pair(CREDIT, 0.0), {"usual": (0.3, 0.792), "rare": (0.5, 0.792, 1.0)}
    yield "pairs of credit, rare successes", 1, pair(CREDIT, 0.0, flip=True), {"usual": (0.3, 0.9), "rare": (0.0, 0.5)}
    yield "pairs of credit, margin 0.03", 0, pair(CREDIT, 0.0, margin=0.03), {"usual": (0.5,), "rare": (0.5, 1.0)}
    yield "pairs of PSNR, rare failures", 0, pair(DECIBELS, 0.0), {"usual": (25.0,), "rare": (25.0, 40.0, 100.0)}
    yield "pairs of PSNR, rare perfect ones", 1, pair(DECIBELS, 0.0, flip=True), {"usual": (25.0,), "rare": (0.0, 25.0)}
    yield "pairs of MAE, rare failures", 0, pair(ERROR, 180.0), {"usual": (15.0,), "rare": (0.0, 15.0)}
    yield "pairs of MAE, rare exact ones", 1, pair(ERROR, 180.0, flip=True), {"usual": (15.0,), "rare": (15.0, 180.0)}
    const = partial(partial, _constant)
    for name, measure, worst, levels in (
        ("credit", CREDIT, 0.0, (0.1, 0.5, 0.9, 1.0)),
        ("PSNR", DECIBELS, 0.0, (25.0,)),
        ("MAE", ERROR, 180.0, (15.0, 100.0)),
    ):
        yield f"{name}, rare failures", 0, const(measure, worst, worst), {"usual": levels}
        end = measure.range[1] if measure.higher_is_better else measure.range[0]
        yield f"{name}, rare perfect ones", 1, const(measure, worst, end), {"usual": [x for x in levels if x != end]}


def _pair(
    measure: Metric,
    worst: float,
    *,
    samples: int,
    often: float,
    usual: float,
    rare: float,
    margin: float = 0.0,
    flip: bool = False,
) -> Profile | None:
    """A pair where the reference has `rare` in the samples in which the model fails or, flipped, is perfect."""
    best = measure.range[1] if measure.higher_is_better else measure.range[0]
    if often >= samples / 2:
        return None
    return balanced(measure, worst, [(often / samples, best if flip else worst, rare)], usual, margin)


def _constant(
    measure: Metric, worst: float, rare: float, *, samples: int, often: float, usual: float
) -> Profile | None:
    """Values that are `usual` but for a few."""
    share = often / samples
    return constant(measure, worst, [(share, rare), (1 - share, usual)]) if share < 0.5 else None


def _three_kinds(judge: Judge, samples: int) -> Iterator[Rate]:
    """Failures, half failures and usual samples, as credit against a figure and in pairs."""

    def against_figure(*, samples: int, often: float, halves: float, middle: float) -> Profile | None:
        one, other = often / samples, halves / samples
        if one + other >= 1:
            return None
        return constant(CREDIT, 0.0, [(one, 0.0), (other, middle), (1 - one - other, 1.0)])

    def in_pairs(*, samples: int, often: float, halves: float, middle: float) -> Profile | None:
        one, other = often / samples, halves / samples
        return balanced(CREDIT, 0.0, [(one, 0.0, 1.0), (other, middle, 0.5)], 0.5)

    grid = {"often": (1.0, 3.0, 6.7), "halves": (1.0, 4.0, 8.0)}
    for name, build in (("credit, three kinds", against_figure), ("pairs of credit, three kinds", in_pairs)):
        for claim in (0, 1):
            found, where = worst_of(build, samples, judge, claim, **grid, middle=(0.3, 0.7, 0.9))
            yield from exact_rates(
                ("searched", f"{name} [{where}]", ("win", "below")[claim], str(samples)), found, ALPHA
            )
