"""The official ranker as it computed in July 2025, faults included, and what each of its faults did to a result.

Rows are paired by position. A special metric's value is mapped, and 0, missing or infinite becomes 0; every other value
is taken as it is. A group's mean is over the submitted rows, its gated mean over the sota's. S2 and S3 are the mean of
comprehension and generation, S4 = 2ab / (a + b + 1e-6) of their gated means; then the mean over the modalities.
S5 = S4 * gated mean of language / 100. A fault is told by computing everything once more without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from math import exp, inf, isfinite, isnan, tanh
from typing import TypeAlias

from echelon.scorer.editions import Scores, gate_won, out_of_order
from echelon.scorer.general_bench.catalogue import SHEETS, Entry, plain
from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.general_bench.measures import alike, measure
from echelon.scorer.general_bench.standings import Standing, named
from echelon.scorer.general_bench.submissions import Submission
from echelon.scorer.general_bench.workbooks import Book, Cell, Row, Sheet
from echelon.scorer.suites.suite import Paradigm

EDITION = "official-2025-07"

_LANGUAGE_SHEET = "NLP"
_SIDES = (Paradigm.COMPREHENSION, Paradigm.GENERATION)
_EPSILON = 1e-6
_SATURATED = 100.0

Group: TypeAlias = tuple[float, float]
"""A value, or a group's mean, and the same behind the gate."""


class OfficialRankerError(ValueError):
    """The official ranker would stop here; the text says why."""


class Fault(StrEnum):
    """Where the official ranker departs from the paper, or from sense."""

    POSITION = "rows are paired by position, whatever task they name"
    WER = "WER in percent is mapped by 1 - x, which takes fractions"
    LABELS = "CD and RTE are not recognised: taken as they are, and higher counts as better"
    LANGUAGE_RMSE = "of language's RMSE only the submitted value is mapped, not the sota; a missing one counts as 0"
    FRACTIONS = "fractions are compared with percent"
    SATURATION = "the gate compares mapped values, which are all 100 from some point on"
    MS_SSIM = "an MS-SSIM of 0 counts 0, in the published tables 50"
    NO_SOTA = "a missing sota of a mapped metric counts as 0, so that any value wins"
    NEGATIVE = "negative means go into S4, which can then exceed S3"
    EPSILON = "1e-6 in the denominator of S4"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A submitted row and the sota's row at the same position; values are infinite where there is none."""

    row: int
    metric: str
    score: float
    sota_metric: str
    sota: float
    has_sota_row: bool
    is_fraction: bool


@dataclass
class _Ranking:
    """What the ranker computes; `rows` holds what each row adds to the means, by sheet and row number."""

    groups: dict[str, Group] = field(default_factory=dict)
    modalities: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    final: tuple[float, ...] = ()
    rows: dict[tuple[str, int], Group] = field(default_factory=dict)


def official_standing(submission: Submission, book: Book) -> Standing:
    """What the official ranker makes of a model, with a finding for each fault that changed a score.

    Where the ranker would stop with an error there are no scores, and the finding says why.
    """
    try:
        _check_sheets(submission, book)
        ranking = _rank(submission, book, frozenset())
    except OfficialRankerError as error:
        finding = Finding(Rule.OFFICIAL_FAULT, str(error), book.path.name, model=submission.model)
        return _standing(submission, _Ranking(), [finding])
    return _standing(submission, ranking, (*_faults(submission, book, ranking), *_disorder(submission, ranking)))


def _disorder(submission: Submission, ranking: _Ranking) -> Iterator[Finding]:
    s2, s3, s4, s5 = ranking.final
    if disorder := out_of_order(EDITION, Scores(s2, s3, s4, s5, {})):
        yield Finding(Rule.ORDER, disorder, submission.path.name, model=submission.model)


def _check_sheets(submission: Submission, book: Book) -> None:
    strange = {entry.sheet for entry in submission.catalogue.entries} ^ {sheet.name for sheet in book.sheets}
    if strange:
        raise OfficialRankerError(f"the official ranker stops where sheets differ: {', '.join(sorted(strange))}")


def _standing(submission: Submission, ranking: _Ranking, findings: Iterable[Finding]) -> Standing:
    return Standing(
        model=submission.model,
        edition=EDITION,
        where=submission.catalogue.label,
        level=max((k for k, score in enumerate(ranking.final, 2) if score), default=0),
        overall=named(ranking.final or (None,) * 4),
        by_modality={name: named((*scores, None)) for name, scores in ranking.modalities.items()},
        by_group={name: named((*scores, None, None)) for name, scores in ranking.groups.items()},
        by_skill={},
        notes=("the official ranker prints no level; this is the highest score that is not 0",),
        findings=tuple(findings),
    )


def _faults(submission: Submission, book: Book, ranking: _Ranking) -> Iterator[Finding]:
    for fault in Fault:
        try:
            without = _rank(submission, book, {fault})
        except OfficialRankerError:
            continue
        changes = [
            f"{name} {is_:.4f} would change by {would_be - is_:+.2g}"
            for name, is_, would_be in zip(("S2", "S3", "S4", "S5"), ranking.final, without.final, strict=True)
            if is_ != would_be
        ]
        if not changes:
            continue
        rows: dict[str, list[int]] = {}
        for sheet, number in sorted(ranking.rows.keys() | without.rows.keys()):
            if ranking.rows.get((sheet, number)) != without.rows.get((sheet, number)):
                rows.setdefault(sheet, []).append(number)
        message = f"{fault}; without it {', '.join(changes)}"
        for sheet, numbers in (rows or {"": []}).items():
            place = book.path.name, sheet, tuple(numbers), submission.model
            yield Finding(Rule.OFFICIAL_FAULT, message, *place)


def _rank(submission: Submission, book: Book, repaired: AbstractSet[Fault]) -> _Ranking:
    """The whole ranking, without the faults that are `repaired`."""
    ranking = _Ranking()
    sides: dict[str, dict[Paradigm, Group]] = {}
    for sheet in book.sheets:
        entries = [entry for entry in submission.catalogue.entries if entry.sheet == sheet.name]
        pairs = _pairs(submission, sheet, entries, by_name=Fault.POSITION in repaired)
        added = [_added(pair, sheet.name, repaired) for pair in pairs]
        ranking.rows.update({(sheet.name, pair.row): each for pair, each in zip(pairs, added, strict=True)})
        count = len(entries) if Fault.POSITION in repaired else len(pairs)
        means = sum(able for able, _ in added) / count, sum(gated for _, gated in added) / len(entries)
        modality, paradigm = SHEETS[sheet.name]
        language = paradigm is Paradigm.LANGUAGE
        ranking.groups[modality.value if language else f"{modality}-{paradigm}"] = means
        if not language:
            sides.setdefault(modality.value, {})[paradigm] = means
    for name, found in sides.items():
        (able, gated), (other_able, other_gated) = (found.get(side, (0.0, 0.0)) for side in _SIDES)
        s4 = _s4(gated, other_gated, repaired)
        ranking.modalities[name] = ((able + other_able) / 2, (gated + other_gated) / 2, s4)
    count = len(ranking.modalities) or 1
    s2, s3, s4 = (sum(scores[index] for scores in ranking.modalities.values()) / count for index in range(3))
    _, language_gated = ranking.groups.get(Paradigm.LANGUAGE.value, (0.0, 0.0))
    ranking.final = (s2, s3, s4, s4 * language_gated / 100)
    return ranking


def _pairs(submission: Submission, sheet: Sheet, entries: Sequence[Entry], *, by_name: bool) -> list[_Pair]:
    fractions = {
        row
        for finding in submission.findings
        if finding.rule is Rule.FRACTIONS and finding.sheet == sheet.name
        for row in finding.rows
    }
    paired = _by_name(sheet.rows, entries) if by_name else list(zip_longest(sheet.rows, entries[: len(sheet.rows)]))
    return [
        _Pair(
            row=row.number,
            metric=row.metric,
            score=_number(row.cells.get(submission.model, "")),
            sota_metric=entry.metric if entry else "",
            sota=entry.sota if entry and entry.sota is not None else inf,
            has_sota_row=entry is not None,
            is_fraction=row.number in fractions,
        )
        for row, entry in paired
    ]


def _by_name(rows: Sequence[Row], entries: Sequence[Entry]) -> list[tuple[Row, Entry]]:
    named = {plain(row.task): row for row in rows}
    found = ((named.get(plain(entry.task)), entry) for entry in entries)
    return [(row, entry) for row, entry in found if row is not None and alike(row.metric, entry.metric)]


def _number(cell: Cell) -> float:
    """As the ranker reads a cell: whatever is no number is infinite, and that is missing."""
    try:
        value = float(str(cell))
    except ValueError:
        return inf
    return inf if isnan(value) else value


def _added(pair: _Pair, sheet: str, repaired: AbstractSet[Fault]) -> Group:
    """What a row adds to the sum of its group and to the gated sum."""
    score = pair.score
    if pair.is_fraction and Fault.FRACTIONS in repaired and _key(pair.metric, repaired) != "WER":
        score *= 100
    if sheet == _LANGUAGE_SHEET:
        mapped, sota = _language_values(pair, score, repaired)
    else:
        mapped = _mapped(pair.metric, score, repaired, is_fraction=pair.is_fraction)
        sota = _mapped(pair.sota_metric, pair.sota, repaired, is_fraction=False)
    able = mapped if isfinite(mapped) else 0.0
    won = pair.has_sota_row and isfinite(mapped) and isfinite(sota) and mapped >= sota
    if won and Fault.SATURATION in repaired and mapped == sota == _SATURATED:
        won = gate_won(score, pair.sota, measure(pair.metric).higher_is_better)
    if Fault.NO_SOTA in repaired and pair.sota == inf:
        won = False
    return able, able if won else 0.0


def _language_values(pair: _Pair, score: float, repaired: AbstractSet[Fault]) -> Group:
    """Language maps nothing but the submitted value of RMSE."""
    if _key(pair.metric, repaired) != "RMSE":
        return score, pair.sota
    if Fault.LANGUAGE_RMSE in repaired:
        return (_falling(5)(score) if score else inf), (_falling(5)(pair.sota) if pair.sota else inf)
    if score == 0:
        raise OfficialRankerError(f"the official ranker stops at an RMSE of 0, {_LANGUAGE_SHEET} row {pair.row}")
    return (_falling(5)(score) if isfinite(score) else 0.0), pair.sota


def _mapped(metric: str, value: float, repaired: AbstractSet[Fault], *, is_fraction: bool) -> float:
    """A value as the ranker maps it."""
    key = _key(metric, repaired)
    if key not in _MAPS:
        return value
    if value == 0 and key == "MS-SSIM" and Fault.MS_SSIM in repaired:
        return 50.0
    if not isfinite(value) or value == 0:
        return 0.0
    if value < 0:
        raise OfficialRankerError(f"the official ranker stops at {metric} {value:g}: it allows no value below 0")
    if key == "WER" and Fault.WER in repaired and not is_fraction:
        value /= 100
    return _MAPS[key](value)


def _key(metric: str, repaired: AbstractSet[Fault]) -> str:
    """How the ranker looks a metric up; CD and RTE come with their long names in brackets."""
    written = metric.partition("(")[0] if Fault.LABELS in repaired else metric
    return written.strip().upper()


def _s4(one: float, other: float, repaired: AbstractSet[Fault]) -> float:
    if one == 0 or other == 0 or (Fault.NEGATIVE in repaired and min(one, other) < 0):
        return 0.0
    return 2 * one * other / (one + other + (0 if Fault.EPSILON in repaired else _EPSILON))


def _falling(scale: float) -> Callable[[float], float]:
    return lambda x: (2 / (1 + exp(-scale / x)) - 1) * 100


_MAPS: Mapping[str, Callable[[float], float]] = {
    "ABSREL": _falling(0.1),
    "CD": _falling(1),
    "EPE": _falling(1),
    "FAD": _falling(10),
    "FID": _falling(25),
    "FVD": _falling(100),
    "MAE": _falling(50),
    "MCD": _falling(5),
    "MOS": lambda x: (x - 1) / 4 * 100,
    "MS-SSIM": lambda x: (x + 1) / 2 * 100,
    "MSE": _falling(5),
    "PSNR": lambda x: tanh(x / 20) * 100,
    "RMS": _falling(50),
    "RMSE": _falling(5),
    "RTE": _falling(0.5),
    "SAD": _falling(10),
    "WER": lambda x: (1 - x) * 100,
}
