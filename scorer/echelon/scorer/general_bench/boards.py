"""Leaderboards: models in order, and where they would stand among the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from echelon.scorer.editions import mean
from echelon.scorer.general_bench.catalogue import leaderboard
from echelon.scorer.general_bench.standings import Standing

PUBLISHED_EDITION = "2025"
LEVELS = (2, 3, 4)


SEAT_RULE = "a score above 0, as in the paper"
"""What puts a model on the board of a level. A level takes more: two skills at least, docs/editions.md."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A model's place at one level; `rank` counts the published models only, and is that of the next one below.

    Seats follow `rule` for published and for submitted models alike. `reached` is the level that a submitted model
    reaches by the edition's own rule, None for a published one, whose skills are not published.
    """

    level: int
    rank: int
    model: str
    score: float
    published: bool
    rule: str = SEAT_RULE
    reached: int | None = None


def ordered(standings: Iterable[Standing]) -> list[Standing]:
    """By level, and within it by that level's score, the best first; level 1 goes by S2."""
    return sorted(
        standings, key=lambda each: (-each.level, -(each.overall[f"S{max(2, each.level)}"] or 0.0), each.model)
    )


def among_published(standings: Sequence[Standing]) -> list[Seat]:
    """The paper's leaderboard of scope A, levels 2 to 4, with these models in it, level by level, best first.

    A published score is the mean of its four modalities: four of the paper's printed totals are misprints.
    """
    seats: list[Seat] = []
    for level in LEVELS:
        published = sorted(
            ((mean(row.by_modality), row.model) for row in leaderboard() if row.level == level), reverse=True
        )
        scores = [score for score, _ in published]
        seats += [Seat(level, rank, model, score, published=True) for rank, (score, model) in enumerate(published, 1)]
        for each in standings:
            score = each.overall[f"S{level}"]
            if score:
                rank = 1 + sum(other > score for other in scores)
                seats.append(Seat(level, rank, each.model, score, published=False, reached=each.level))
    return sorted(seats, key=lambda seat: (seat.level, -seat.score, seat.published))
