"""Failing never pays: a task of which nothing was answered counts as a missing one, wherever it is counted."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from echelon.adapters import Call, CallSupport, Card, Image, Kind, Number, Text
from echelon.cli import echelon as commands
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.mapping import task_id
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.report import wording
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.folder import FolderSuite

COUNT = 24
CARD = Card("1", (CallSupport(Call.GENERATE, (Kind.IMAGE,), (Kind.IMAGE, Kind.NUMBER)),), name="mute")
MANIFEST = """
name: failures
version: "1"
tasks:
  - {id: restore, title: Restore, modality: image, paradigm: generation, skill: restoring, instruction: "Restore.",
     output: image, extractor: image, metric: psnr, chance: 0.0, samples: restore.jsonl}
  - {id: measure, title: Measure, modality: image, paradigm: generation, skill: measuring, instruction: "How much?",
     output: number, extractor: number, metric: mae, worst: 40, chance: 40.0, samples: measure.jsonl}
"""


class Same:
    """Every sample ended in the same way; the first of each task as `first`, where it is given."""

    def __init__(self, state: State, first: dict[str, SampleOutcome] | None = None) -> None:
        self._state, self._first = state, first or {}

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        parts = (Text("?"),) if self._state is State.ANSWERED else ()
        for number, sample in enumerate(samples):
            first = self._first.get(task) if number == 0 else None
            yield first or SampleOutcome(task, sample, self._state, parts, "WHY", "because")

    def tried(self, run: str, task: str) -> set[str]:
        return set()


@pytest.fixture
def suite(tmp_path: Path) -> FolderSuite:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    noise = np.random.default_rng(0)
    lines: dict[str, list[dict[str, Any]]] = {"restore": [], "measure": []}
    for n in range(COUNT):
        pixels = noise.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        (folder / f"{n}.png").write_bytes(Image.from_array(pixels).data)
        part = {"kind": "image", "path": f"{n}.png"}
        lines["restore"].append({"id": str(n), "parts": [part], "reference": part})
        lines["measure"].append({"id": str(n), "parts": [part], "reference": {"kind": "number", "value": float(n)}})
    for task, samples in lines.items():
        (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, samples)))
    return FolderSuite(folder)


def result(suite: FolderSuite, journal: Same, *unsupported: str) -> RunResult:
    evaluation = Evaluation(suite, "r" * 64, CARD, "here:1/mute", 0, {}, suite.tasks, frozenset(unsupported))
    # Both figures are so bad that a failed task would reach them.
    return evaluate(evaluation, journal, {"restore": Sota(0.0, "a paper"), "measure": Sota(90.0, "a paper")})


# An answer of another kind is invalid once it has been looked at.
@pytest.mark.parametrize("state", [State.INVALID, State.REFUSED, State.CRASHED, State.ANSWERED])
def test_a_task_without_a_single_answer_counts_as_an_unsupported_one_does(suite: FolderSuite, state: State) -> None:
    failed, unsupported = result(suite, Same(state)), result(suite, Same(state), "restore", "measure")
    for task in failed.tasks:
        assert task.nothing_answered
        assert task.score is not None
        assert task.sigmas == {"2024": 0.0, "2025": 0.0}
        assert (task.won, task.above_chance, task.verdict) == (False, False, None)
        assert wording.mark(task).word == "unanswered"
    for one, other in zip(failed.levels, unsupported.levels, strict=True):
        assert (one.level, one.s2, one.s3, one.s4, one.s5) == (0, 0, 0, 0, 0)
        assert (one.s2, one.by_modality) == (other.s2, other.by_modality)
        assert "2 tasks are without a single answer and counted as missing: restore, measure" in one.notes
    for verdict, missing in zip(failed.verdicts, unsupported.verdicts, strict=True):
        assert verdict.certified == missing.certified
        assert verdict.possible == missing.possible
        assert set(verdict.p.values()) == {1.0}


def test_one_answer_is_enough_to_be_measured(suite: FolderSuite) -> None:
    first = SampleOutcome("measure", "0", State.ANSWERED, (Number(0.0),))
    restore, measure = result(suite, Same(State.REFUSED, {"measure": first})).tasks
    assert restore.nothing_answered
    assert not measure.nothing_answered
    assert measure.sigmas["2024"] > 50
    assert measure.verdict is not None


def test_predictions_that_cannot_be_read_count_as_missing_in_scores_and_in_the_workbook(tmp_path: Path) -> None:
    entries = {entry.metric: entry for entry in catalogue().entries if entry.sheet == "Image-Generation"}
    psnr = entries["PSNR"]
    mae = next(e for e in catalogue().entries if (e.sheet, e.metric) == ("Image-Comprehension", "MAE"))
    picture = Image.from_array(np.full((4, 4, 3), 90, np.uint8)).data
    for entry, level, output in ((psnr, "generation", "1.png"), (mae, "comprehension", 7)):
        folder = tmp_path / "bench" / "image" / level / entry.task
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(picture)
        items = [{"id": n, "input": {"prompt": "?", "image": "1.png"}, "output": {"answer": output}} for n in range(2)]
        (folder / "annotation.json").write_text(json.dumps({"task": entry.task, "data": items}))
        predicted = [{"id": n, "prediction": "none"} for n in range(2)]
        (folder / "prediction.json").write_text(json.dumps(predicted))
    book = tmp_path / "scores.xlsx"
    done = CliRunner(env={"ECHELON_CACHE": str(tmp_path / "cache")}).invoke(
        commands, ["score", str(tmp_path / "bench"), "--json", "--workbook", str(book)]
    )
    assert done.exit_code == 3, done.output
    document = json.loads(done.output)
    tasks = {task["id"]: task for task in document["tasks"]}
    for entry in (psnr, mae):
        assert tasks[task_id(entry)]["counts"] == {"invalid": 2}
        assert tasks[task_id(entry)]["sigmas"] == {"2024": 0.0, "2025": 0.0}
    assert [level["s2"] for level in document["levels"]] == [0.0, 0.0]
    read = json.loads(CliRunner().invoke(commands, ["levels", str(book), "--json", "--ms-ssim", "0"]).output)
    assert [(each["supported"], each["overall"]["S2"]) for each in read["results"]] == [(0, 0.0), (0, 0.0)]
