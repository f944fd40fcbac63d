"""The shipped models against the starter suite: they fit it, whatever level they reach."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from echelon.adapters import Answer, Call
from echelon.adapters.onnx import Onnx, OnnxSettings
from echelon.scorer.extract import extract
from echelon.scorer.metrics.registry import metric
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.starter import TASKS, StarterTask
from echelon.scorer.suites.suite import Paradigm, Sample

MODELS = Path(str(files("echelon.adapters.baseline"))) / "models"
TRAINING = Path(__file__).parents[2] / "training"

GENERALISTS = {
    "generalist-comprehension": {Paradigm.COMPREHENSION},
    "generalist-generation": {Paradigm.GENERATION},
    "generalist-both": set(Paradigm),
}


def sample(starter: StarterTask, index: int) -> Sample:
    example = starter.example(index, seed=5)
    instruction = starter.task.instruction.format(**example.fields)
    return Sample(str(index), instruction, example.parts, (example.reference,), "")


def score(adapter: Onnx, starter: StarterTask, count: int) -> float:
    task = starter.task
    samples = [sample(starter, index) for index in range(count)]
    ask = {Call.COMPREHEND: adapter.comprehend, Call.GENERATE: adapter.generate, Call.LANGUAGE: adapter.language}
    measure = metric(task.metric, task.worst, task.labels)
    rows = []
    for outcome, asked in zip(ask[task.call]([request_of(task, s, 0) for s in samples]), samples, strict=True):
        assert isinstance(outcome, Answer)
        rows.append(measure.sample(extract(task.extractor, outcome.parts, task), asked.references))
    return measure.finish(rows)


def opened(folder: Path) -> Onnx:
    adapter = Onnx()
    adapter.open(OnnxSettings(folder=folder))
    return adapter


def beats_chance(starter: StarterTask, reached: float) -> bool:
    task = starter.task
    better = metric(task.metric, task.worst, task.labels).higher_is_better
    return reached > task.chance if better else reached < task.chance


@pytest.mark.parametrize("starter", TASKS, ids=lambda starter: starter.task.id)
def test_a_specialist_does_its_task_better_than_chance(starter: StarterTask) -> None:
    adapter = opened(MODELS / "specialists" / starter.task.id)
    assert beats_chance(starter, score(adapter, starter, 40))


@pytest.mark.parametrize("name", GENERALISTS)
def test_a_generalist_does_every_task_of_its_paradigms_better_than_chance(name: str) -> None:
    adapter = opened(MODELS / name)
    tasks = [starter for starter in TASKS if starter.task.paradigm in GENERALISTS[name]]
    assert [starter.task.id for starter in tasks if not beats_chance(starter, score(adapter, starter, 40))] == []


@pytest.mark.parametrize("name", GENERALISTS)
def test_a_generalist_offers_only_the_calls_of_its_paradigms(name: str) -> None:
    calls = {starter.task.call for starter in TASKS if starter.task.paradigm in GENERALISTS[name]}
    assert {support.call for support in opened(MODELS / name).card().calls} == calls


def test_each_instruction_holds_the_phrase_of_its_specialist_and_no_other() -> None:
    routes = yaml.safe_load((MODELS / "specialists/bundle.yaml").read_text())["routes"]
    for starter in TASKS:
        asked = sample(starter, 0).instruction.lower()
        found = [route["folder"] for route in routes if route["phrase"] in asked]
        assert found == [starter.task.id]
    assert {(route["folder"], route["call"]) for route in routes} == {
        (starter.task.id, starter.task.call.value) for starter in TASKS
    }


def test_all_models_together_stay_below_five_megabytes() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 5_000_000


def test_the_specialists_are_those_that_the_generalists_were_measured_against() -> None:
    manifest = json.loads((TRAINING / "specialists.json").read_text())
    assert set(manifest) == {starter.task.id for starter in TASKS}
    for task, entry in manifest.items():
        shipped = sorted((MODELS / "specialists" / task).iterdir())
        lines = "".join(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in shipped)
        assert entry["digest"] == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
