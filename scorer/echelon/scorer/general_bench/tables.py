"""Standings as text for a terminal and as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from textwrap import fill
from typing import Any

from echelon.scorer.general_bench.boards import PUBLISHED_EDITION, SEAT_RULE, Seat, among_published, ordered
from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.general_bench.ranking import Ranked
from echelon.scorer.general_bench.standings import Levels, Standing
from echelon.scorer.general_bench.submissions import Submission
from echelon.scorer.printing import printable

SHOWN = 3
"""Findings of one kind that the text lists; the JSON has all."""
WIDTH = 100

_SCORES = ("S2", "S3", "S4", "S5")


def as_json(ranked: Sequence[Ranked], findings: Sequence[Finding], *, compare: bool) -> dict[str, Any]:
    """Everything there is; `findings` are those that belong to no model."""
    return {
        "results": [_result(each.submission, standing) for each in ranked for standing in each.standings],
        "published": [asdict(seat) for seat in _seats(ranked)] if compare else [],
        "findings": [_plain(finding) for finding in findings],
    }


def _result(submission: Submission, standing: Standing) -> dict[str, Any]:
    return {
        "model": standing.model,
        "file": submission.path.name,
        "edition": standing.edition,
        "headline": standing.headline,
        "level": standing.level,
        "synergy_counts": standing.synergy_counts,
        "catalogue": submission.catalogue.label,
        "tasks": len(submission.scores),
        "supported": submission.supported,
        "overall": dict(standing.overall),
        "modalities": _nested(standing.by_modality),
        "paradigms": _nested(standing.by_group),
        "skills": {name: _nested(skills) for name, skills in standing.by_skill.items()},
        "notes": list(standing.notes),
        "findings": [_plain(finding) for finding in (*submission.findings, *standing.findings)],
    }


def _nested(scores: Mapping[str, Levels]) -> dict[str, dict[str, float | None]]:
    return {name: dict(each) for name, each in scores.items()}


def _plain(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "rule": finding.rule.value, "rows": list(finding.rows)}


def as_text(ranked: Sequence[Ranked], findings: Sequence[Finding], *, compare: bool) -> str:
    """One model in detail, or several as a leaderboard for each edition; then the published one, then the findings."""
    blocks = list(_details(ranked[0]) if len(ranked) == 1 else _leaderboards(ranked))
    if compare:
        blocks += _published(_seats(ranked))
    blocks.append(_reported([*findings, *_all_findings(ranked)]))
    return "\n\n".join(block for block in blocks if block)


def _details(ranked: Ranked) -> Iterator[str]:
    """The scores of one model, two editions side by side."""
    submission = ranked.submission
    about = f"{printable(submission.model)}: {submission.supported} of {len(submission.scores)} tasks have a score"
    yield "\n".join([*(standing.headline for standing in ranked.standings), about])
    for at in range(0, len(ranked.standings), 2):
        yield "\n".join(_beside([_parts(standing) for standing in ranked.standings[at : at + 2]]))
    yield "\n".join(f"{standing.edition}: {note}" for standing in ranked.standings for note in standing.notes)


def _parts(standing: Standing) -> list[str]:
    rows = {"overall": standing.overall, **standing.by_modality, **standing.by_group}
    table = [(name, *_figures(scores)) for name, scores in rows.items()]
    return _aligned([(f"edition {standing.edition}", *_SCORES), *table])


def _beside(tables: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, table)) for table in tables]
    rows = zip_longest(*tables, fillvalue="")
    return ["    ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _leaderboards(ranked: Sequence[Ranked]) -> Iterator[str]:
    submissions = {id(standing): each.submission for each in ranked for standing in each.standings}
    for edition in dict.fromkeys(standing.edition for each in ranked for standing in each.standings):
        standings = [standing for each in ranked for standing in each.standings if standing.edition == edition]
        for where in dict.fromkeys(standing.where for standing in standings):
            rows = [
                (
                    str(standing.level),
                    printable(standing.model),
                    *_figures(standing.overall),
                    _share(submissions[id(standing)]),
                )
                for standing in ordered(each for each in standings if each.where == where)
            ]
            table = _aligned([("level", "model", *_SCORES, "tasks"), *rows])
            yield "\n".join([f"Levels on {where}, edition {edition}", *table])


def _share(submission: Submission) -> str:
    return f"{submission.supported}/{len(submission.scores)}"


def _seats(ranked: Sequence[Ranked]) -> list[Seat]:
    return among_published(
        [standing for each in ranked for standing in each.standings if standing.edition == PUBLISHED_EDITION]
    )


def _published(seats: Sequence[Seat]) -> Iterator[str]:
    """At each level the models with the published ones right above and below them."""
    for level in dict.fromkeys(seat.level for seat in seats):
        board = [seat for seat in seats if seat.level == level]
        near = {at + step for at, seat in enumerate(board) if not seat.published for step in (-1, 0, 1)}
        if not near:
            continue
        rows = [
            (f"{seat.rank}" if seat.published else "→", printable(seat.model), f"{seat.score:.2f}", _reached(seat))
            for at, seat in enumerate(board)
            if at in near
        ]
        count = sum(seat.published for seat in board)
        head = f"Beside the {count} published models with a score at level {level} (arXiv 2505.04620)"
        rules = f"ranked by S{level}: {SEAT_RULE}; the level is that of edition {PUBLISHED_EDITION}, which wants more"
        yield "\n".join([head, rules, *_aligned([("rank", "model", f"S{level}", "level"), *rows])])


def _reached(seat: Seat) -> str:
    """The level that a submitted model reaches by the edition's rule; of published models it is not known."""
    if seat.reached is None:
        return "not known"
    return f"level {seat.reached}" if seat.reached else "no level"


def _all_findings(ranked: Iterable[Ranked]) -> Iterator[Finding]:
    for each in ranked:
        yield from each.submission.findings
        for standing in each.standings:
            yield from standing.findings


def _reported(findings: Iterable[Finding]) -> str:
    """The findings by kind and place, each only once."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        groups.setdefault((finding.file, finding.model, finding.rule.value), []).append(finding)
    lines: list[str] = []
    for (file, model, rule), group in groups.items():
        about = f"{file}, {model}" if model else file
        lines.append(f"{printable(about)}: {rule}")
        shown = len(group) if rule == Rule.OFFICIAL_FAULT else SHOWN
        lines += [_wrapped(f"{_place(finding)}{printable(finding.message)}") for finding in group[:shown]]
        if len(group) > shown:
            lines.append(f"  and {len(group) - shown} more; --json lists all")
    total = sum(map(len, groups.values()))
    return "\n".join([f"{total} finding{'s' if total != 1 else ''}", *lines]) if total else "No findings"


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _place(finding: Finding) -> str:
    rows = ", ".join(map(str, finding.rows[:SHOWN])) + (", ..." if len(finding.rows) > SHOWN else "")
    numbered = f"row{'s' if len(finding.rows) > 1 else ''} {rows}" if finding.rows else ""
    where = " ".join(part for part in (printable(finding.sheet), numbered) if part)
    return f"{where}: " if where else ""


def _figures(scores: Levels) -> tuple[str, ...]:
    return tuple("–" if score is None else f"{score:.2f}" for score in scores.values())


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows in columns: names to the left, figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    figures = [all(_is_figure(row[i]) for row in rows[1:]) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, figures, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_figure(cell: str) -> bool:
    return cell == "–" or cell == "→" or cell[:1].isdigit() or cell[:2].lstrip("-").isdigit()
