"""From outcomes to results: what counts, what does not, and what must not matter."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from echelon.adapters import Call, CallSupport, Card, Kind, Text
from echelon.adapters.errors import ConfigurationError
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.store import Rows, RunRecord, Store
from echelon.scorer.stored import is_supported, result_of
from echelon.scorer.suites.folder import FolderSuite

MANIFEST = """
name: parity
version: "1"
tasks:
  - {id: even, title: Even, modality: language, paradigm: language, skill: numbers, instruction: "Even? {n}",
     output: text, labels: [even, odd], extractor: label, metric: accuracy, chance: 0.5, samples: even.jsonl}
  - {id: words, title: Words, modality: language, paradigm: language, skill: reading, instruction: "Say {n}",
     output: text, extractor: text, metric: anls, chance: 0.0, samples: words.jsonl}
"""
CARD = Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), name="parrot")
COUNT = 40


class Kept:
    """Outcomes in memory."""

    def __init__(self, *outcomes: SampleOutcome, tried: Sequence[str] = ()) -> None:
        self._outcomes = {(outcome.task, outcome.sample): outcome for outcome in outcomes}
        self._tried = set(tried)

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        return (self._outcomes.get((task, sample)) for sample in samples)

    def tried(self, run: str, task: str) -> set[str]:
        return self._tried


def make_suite(folder: Path, count: int = COUNT) -> FolderSuite:
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    for task, references in (("even", ("even", "odd")), ("words", ("yes", "no"))):
        kind = "choice" if task == "even" else "text"
        lines = []
        for n in range(count):
            value = references[n % 2]
            reference = {"kind": "choice", "labels": [value]} if kind == "choice" else {"kind": "text", "value": value}
            lines.append({"id": f"{n:03}", "fields": {"n": str(n)}, "parts": [], "reference": reference})
        (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return FolderSuite(folder)


@pytest.fixture
def suite(tmp_path: Path) -> FolderSuite:
    """Two tasks of 40 samples: even numbers are "even" and "yes"."""
    return make_suite(tmp_path / "suite")


def evaluation(suite: FolderSuite, *unsupported: str) -> Evaluation:
    return Evaluation(suite, "r" * 64, CARD, "here:1/parrot", 0, {}, suite.tasks, frozenset(unsupported))


def said(task: str, n: int, text: str) -> SampleOutcome:
    return SampleOutcome(task, f"{n:03}", State.ANSWERED, (Text(text),))


def right(task: str, n: int) -> SampleOutcome:
    return said(task, n, {"even": ("even", "odd"), "words": ("yes", "no")}[task][n % 2])


def perfect(task: str = "even", count: int = COUNT) -> list[SampleOutcome]:
    return [right(task, n) for n in range(count)]


def result(suite: FolderSuite, *outcomes: SampleOutcome, sota: Sota | None = None) -> RunResult:
    return evaluate(evaluation(suite), Kept(*outcomes), {} if sota is None else {"even": sota})


def test_failed_samples_count_as_wrong_and_stay_apart(suite: FolderSuite) -> None:
    outcomes = perfect()
    for n, state in enumerate((State.REFUSED, State.INVALID, State.CRASHED)):
        outcomes[n] = SampleOutcome("even", f"{n:03}", state, (), "WHY", "because")
    outcomes[3] = said("even", 3, "no idea")
    even = result(suite, *outcomes).tasks[0]
    assert even.score == (COUNT - 4) / COUNT
    assert even.counts == {State.ANSWERED: 36, State.REFUSED: 1, State.INVALID: 2, State.CRASHED: 1}
    assert even.complete


def test_a_task_with_one_sample_missing_has_no_score_no_win_and_no_level(suite: FolderSuite) -> None:
    outcomes = perfect()[1:] + perfect("words")
    found = evaluate(evaluation(suite), Kept(*outcomes, tried=["000"]), {"even": Sota(0.1, "a paper")})
    even, words = found.tasks
    assert (even.score, even.won, even.above_chance, even.complete) == (None, False, False, False)
    assert even.counts == {State.ANSWERED: COUNT - 1, State.UNAVAILABLE: 1}
    assert even.coverage == (COUNT - 1) / COUNT
    assert words.score == 1.0
    assert all(level.level <= 1 for level in found.levels)


def test_what_was_never_asked_is_in_no_count(suite: FolderSuite) -> None:
    even = result(suite, right("even", 0)).tasks[0]
    assert even.counts == {State.ANSWERED: 1}
    assert even.sample_count == COUNT


def test_an_unsupported_task_is_complete_without_a_score(suite: FolderSuite) -> None:
    found = evaluate(evaluation(suite, "words"), Kept(*perfect()), {})
    words = found.tasks[1]
    assert (words.score, words.complete, words.supported) == (None, True, False)
    assert words.counts == {State.UNSUPPORTED: COUNT}
    assert found.complete


@pytest.mark.parametrize(
    ("support", "supported"),
    [
        ((), False),
        ((CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), True),
        ((CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.CHOICE,)),), False),
        ((CallSupport(Call.COMPREHEND, (Kind.TEXT,), (Kind.TEXT,)),), False),
    ],
)
def test_a_task_is_supported_where_the_card_lists_call_and_kinds(
    suite: FolderSuite, support: tuple[CallSupport, ...], supported: bool
) -> None:
    assert is_supported(suite, replace(CARD, calls=support), suite.tasks[0]) is supported


@pytest.mark.parametrize(("correct", "above"), [(40, True), (34, True), (26, False), (20, False), (6, False)])
def test_a_score_is_above_chance_only_where_luck_is_unlikely(suite: FolderSuite, correct: int, above: bool) -> None:
    # The right ones lie anywhere.
    lucky = set(Random(7).sample(range(COUNT), correct))
    outcomes = [right("even", n) if n in lucky else said("even", n, ("odd", "even")[n % 2]) for n in range(COUNT)]
    assert result(suite, *outcomes).tasks[0].above_chance is above


def test_a_handful_of_samples_proves_nothing_against_chance(tmp_path: Path) -> None:
    few, enough = make_suite(tmp_path / "few", 19), make_suite(tmp_path / "enough", 20)
    assert not result(few, *perfect(count=19)).tasks[0].above_chance
    assert result(enough, *perfect(count=20)).tasks[0].above_chance


def test_the_order_in_which_outcomes_arrived_never_matters(suite: FolderSuite, tmp_path: Path) -> None:
    outcomes = [*perfect()[:30], *(said("even", n, "odd") for n in range(30, COUNT)), *perfect("words")]
    record = RunRecord("a" * 64, {"tasks": ["even", "words"]}, CARD, "here:1/parrot", 0, {}, "2026")
    results = []
    for order in range(3):
        Random(order).shuffle(outcomes)
        with Store(tmp_path / f"store{order}", write=True) as store:
            store.create(record)
            store.commit(record.run, Rows([(outcome, 1.0) for outcome in outcomes]))
            results.append(result_of(suite, record, store))
    assert results[0] == results[1] == results[2]


def test_the_sota_is_met_by_a_tie(suite: FolderSuite) -> None:
    assert result(suite, *perfect(), sota=Sota(1.0, "a paper")).tasks[0].won
    assert not result(suite, *perfect()[:-1], said("even", 39, "even"), sota=Sota(1.0, "a paper")).tasks[0].won


def test_a_sota_that_was_measured_otherwise_is_refused(suite: FolderSuite) -> None:
    measured = result(suite, *perfect()).tasks[0].metric_id
    assert result(suite, *perfect(), sota=Sota(1.0, "run 1", 40, measured)).tasks[0].won
    with pytest.raises(ConfigurationError, match="task even: the sota from run 1 was measured with other@1"):
        result(suite, *perfect(), sota=Sota(1.0, "run 1", 40, "other@1"))


def test_levels_over_a_part_of_a_suite_say_so(suite: FolderSuite) -> None:
    part = replace(evaluation(suite), tasks=suite.tasks[:1])
    assert {level.scope for level in evaluate(part, Kept(), {}).levels} == {f"1 of the 2 tasks of {suite.info.label}"}
    assert {level.scope for level in result(suite).levels} == {suite.info.label}


def test_the_report_sees_the_first_samples_with_their_own_score(suite: FolderSuite) -> None:
    outcomes = [said("even", 0, "odd"), *perfect()[1:]]
    viewed = result(suite, *outcomes).tasks[0].viewed
    assert [(sample.id, sample.score) for sample in viewed] == [("000", 0.0), ("001", 1.0), ("002", 1.0)]


RANKED = """
name: ranked
version: "1"
tasks:
  - {id: found, title: Found, modality: image, paradigm: comprehension, skill: anomalies, instruction: "How sure? {n}",
     output: number, extractor: number, metric: auc, chance: 0.5, samples: found.jsonl}
"""


@pytest.mark.parametrize("truth", [0, 1])
def test_a_metric_that_is_not_defined_over_the_samples_leaves_its_task_not_computed(truth: int, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(RANKED)
    reference = {"kind": "number", "value": truth}
    lines = [{"id": f"{n:03}", "fields": {"n": str(n)}, "parts": [], "reference": reference} for n in range(COUNT)]
    (tmp_path / "found.jsonl").write_text("\n".join(map(json.dumps, lines)))
    suite = FolderSuite(tmp_path)
    found = evaluate(
        evaluation(suite), Kept(*(said("found", n, str(n)) for n in range(COUNT))), {"found": Sota(0.9, "a paper")}
    )
    (task,) = found.tasks
    assert task.not_computed == "auc is not defined over these samples: its value is nan"
    assert (task.score, task.won, task.counts) == (None, False, {State.ANSWERED: COUNT})
    assert all(level.level == 0 for level in found.levels)
