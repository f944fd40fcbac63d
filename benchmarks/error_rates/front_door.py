"""A whole evaluation of outcomes, states and all: a model that refuses rarely and is otherwise a hair better."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binom

from echelon.adapters import Call, CallSupport, Card, Kind, Text
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.folder import FolderSuite
from error_rates.judge import ALPHA, TaskState
from error_rates.profiles import NEGLIGIBLE
from error_rates.rates import Rate

MANIFEST = """
name: copies
version: "1"
tasks:
  - {id: copy, title: Copy, modality: image, paradigm: comprehension, skill: copying, instruction: "Copy {n}",
     output: text, extractor: text, metric: anls, chance: 0.0, samples: copy.jsonl}
"""
CARD = Card("1", (CallSupport(Call.COMPREHEND, (Kind.TEXT,), (Kind.TEXT,)),), name="copyist")
LENGTH, WRONG = 125, 26
"""Characters of a text, and how many of them the reference run has wrong: 79.2 % credit each."""
MODEL, REFERENCE = "m" * 64, "r" * 64


@dataclass(frozen=True)
class Answers:
    """The outcomes of both runs: the model refuses the first samples and has a character less wrong in the others."""

    refused: int

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """What was answered, in the samples' order."""
        wrong = WRONG - (run == MODEL)
        for sample in samples:
            if run == MODEL and int(sample) < self.refused:
                yield SampleOutcome(task, sample, State.REFUSED, reason="REFUSED")
            else:
                yield SampleOutcome(task, sample, State.ANSWERED, (Text("#" * wrong + "a" * (LENGTH - wrong)),))

    def tried(self, run: str, task: str) -> set[str]:
        """No try failed."""
        return set()


def suite(folder: Path, samples: int) -> FolderSuite:
    """One task of so many texts to copy."""
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    reference = {"kind": "text", "value": "a" * LENGTH}
    lines = [
        json.dumps({"id": f"{n:03}", "fields": {"n": str(n)}, "parts": [], "reference": reference})
        for n in range(samples)
    ]
    (folder / "copy.jsonl").write_text("\n".join(lines))
    return FolderSuite(folder)


def judged(asked: FolderSuite, refused: int) -> RunResult:
    """The result of a run that refuses so many samples, with its reference run."""
    evaluation = Evaluation(asked, MODEL, CARD, "here:1/copyist", 0, {}, asked.tasks, frozenset())
    score = 1 - WRONG / LENGTH
    return evaluate(evaluation, Answers(refused), {"copy": Sota(score, "the reference", run=REFERENCE)})


def rates(samples: int = 100) -> Iterator[Rate]:
    """How often the task is won and a level certified, the true lead being 0: the refusals are enumerated."""
    often = 1 / (LENGTH - WRONG + 1)
    refusals = range(int(binom.isf(NEGLIGIBLE, samples, often)) + 1)
    rates = {"win": 0.0, "level": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        asked = suite(Path(folder, "copies"), samples)
        for refused in refusals:
            weight = float(binom.pmf(refused, samples, often))
            result = judged(asked, refused)
            sota = result.tasks[0].verdict.sota if result.tasks[0].verdict else None
            rates["win"] += weight * (sota is not None and sota.state is TaskState.WON)
            rates["level"] += weight * any(verdict.certified.level >= 3 for verdict in result.verdicts)
    case = f"evaluated run: {often:.1%} refused, others +{1 / LENGTH:g} credit"
    for claim, rate in rates.items():
        yield Rate("front door", case, claim, str(samples), 1, 0, 0, rate, 0.0, ALPHA, rate > ALPHA)
