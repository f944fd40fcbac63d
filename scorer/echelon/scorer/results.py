"""What a run amounts to: the one structure behind the table, the JSON and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from echelon.adapters import Card, Part
from echelon.adapters.identity import Identity
from echelon.scorer.chance.outcome import NOT_MEASURED, Chance
from echelon.scorer.outcomes import State
from echelon.scorer.stability import Stability
from echelon.scorer.suites.suite import SuiteInfo, Task
from echelon.scorer.usage import TotalUsage, total
from echelon.scorer.verdict.family import TaskVerdict
from echelon.scorer.verdict.figures import LevelVerdict


@dataclass(frozen=True, slots=True)
class Sota:
    """What a task's specialist reached, in the metric's own unit.

    `source` says where from, for people; `n` is how many samples it was measured on, None where that is unknown.
    `metric_id` is empty where nobody knows how it was measured.
    """

    score: float
    source: str
    n: int | None = None
    metric_id: str = ""
    run: str = ""
    """The id of the reference run, empty for a figure from elsewhere."""
    standard_error: float | None = None
    """Of the score, in its unit, where one was published."""


@dataclass(frozen=True, slots=True)
class PendingSota:
    """A reference run's finished task whose metric could not be computed when the run was named as a reference.

    Its score is measured from the stored outcomes as soon as the metric's instruments are given.
    """

    source: str
    n: int
    run: str
    """The id of the reference run."""


TaskSota: TypeAlias = Sota | PendingSota


@dataclass(frozen=True, slots=True)
class ViewedSample:
    """A sample to look at in the report; `score` is the metric of this sample alone, None where it has no meaning."""

    id: str
    instruction: str
    inputs: tuple[Part, ...]
    references: tuple[Part, ...]
    state: State
    answer: tuple[Part, ...]
    score: float | None
    detail: str = ""
    reading: tuple[Part, ...] = ()
    """What a reader made of the answer, where the metric has one."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task's result; `score` is None while the task is incomplete, or where it is unsupported or not computed.

    `counts` has every state that occurred; they add up to `sample_count` minus what was not asked yet. `sigmas` and
    `sota_sigmas` are the score and sota mapped to 0-100, by edition; where nothing was answered the score's are 0.
    `won` is the point gate: at least sota, and clearly above chance.
    """

    task: Task
    metric_id: str
    higher_is_better: bool | None
    """None where nothing is known of the metric because its module cannot be imported here."""
    unit: str
    sample_count: int
    counts: Mapping[State, int]
    score: float | None
    sota: Sota | None
    sigmas: Mapping[str, float]
    sota_sigmas: Mapping[str, float]
    above_chance: bool
    won: bool
    viewed: tuple[ViewedSample, ...] = ()
    not_computed: str = ""
    """Why the metric cannot be computed here, empty where it can."""
    verdict: TaskVerdict | None = None
    """None where there is no score."""
    chance: Chance = NOT_MEASURED
    """What the best blind answer gets on all samples of the suite; all that is above it is read from here."""

    @property
    def nothing_answered(self) -> bool:
        """Whether samples came to an end and none of them in an answer that could be read.

        Such a task counts as a missing one, whatever its metric's worst value maps to: failing never pays.
        """
        return self._ended > 0 and not self.counts.get(State.ANSWERED, 0)

    @property
    def supported(self) -> bool:
        """Whether the model's card lists what the task needs."""
        return not self.counts.get(State.UNSUPPORTED, 0)

    @property
    def complete(self) -> bool:
        """Whether every sample has an end that the model answers for, or the model does not support the task."""
        return self._ended == self.sample_count

    @property
    def coverage(self) -> float:
        """Share of the samples that came to an end, 0 to 1."""
        return self._ended / self.sample_count if self.sample_count else 0.0

    @property
    def _ended(self) -> int:
        return sum(n for state, n in self.counts.items() if state is not State.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class LevelResult:
    """The levels of one scope in one edition; S2 to S5 in 0-100.

    `level` is the highest level reached, 0 for none; `notes` say, in sentences, what held it back or what counts as
    *not synergy*. `gated` scores of a dispatcher or agent are shown but do not count.
    """

    edition: str
    scope: str
    level: int
    s2: float
    s3: float
    s4: float
    s5: float
    synergy_counts: bool
    by_modality: Mapping[str, tuple[float, float, float]]
    """(S2, S3, S4) of each modality; empty where the edition has none."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything that is known of a run without asking the model again."""

    run_id: str
    suite: SuiteInfo
    card: Card
    target: str
    seed: int
    settings: Mapping[str, str]
    tasks: tuple[TaskResult, ...]
    levels: tuple[LevelResult, ...]
    """One for each edition, over the whole suite."""
    verdicts: tuple[LevelVerdict, ...] = ()
    """One for each edition, in the same order."""
    usage: Mapping[str, TotalUsage] = field(default_factory=dict)
    """What the calls of each task took, by its id; only of those of which anything is known."""
    untied: Mapping[str, int] = field(default_factory=dict)
    """Runs that the result rests on, itself and its reference runs, whose older store cannot tell every damage; with
    that store's version."""
    identity: Identity | None = None
    """The model's, as its server asserts it; None where none is stored."""
    stability: Stability | None = None
    """What the run's probes found; None where nothing was probed."""

    @property
    def total_usage(self) -> TotalUsage | None:
        """What the whole run took, None where nothing is known."""
        return total(self.usage.values()) if self.usage else None

    @property
    def tasks_here(self) -> tuple[TaskResult, ...]:
        """The tasks that have samples; of a part of a large benchmark the others would drown them."""
        return tuple(task for task in self.tasks if task.sample_count)

    @property
    def complete(self) -> bool:
        """Whether every task is complete."""
        return all(task.complete for task in self.tasks)

    def counts(self) -> dict[State, int]:
        """How many samples ended in each state."""
        return {state: total for state in State if (total := sum(task.counts.get(state, 0) for task in self.tasks))}
