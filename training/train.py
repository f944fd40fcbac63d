"""Trains the baseline models and exports them: first the specialists, frozen by digest, then the generalists.

Run `python training/train.py`, or name the stages to run: specialists, generalists, scores, ship. All is made in
`training/build`, which git ignores; the last stage puts it into the package.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import torch
import yaml
from exporting import digest, export
from learning import Lesson, Plan, learn
from problems import PROBLEMS, Problem, load, vocabulary_of
from scoring import score

from echelon.scorer.metrics.registry import metric
from echelon.scorer.sigmas import sigma
from echelon.scorer.suites.starter import Split
from echelon.scorer.suites.suite import Paradigm

HERE = Path(__file__).parent
BUILD = HERE / "build"
MODELS = BUILD / "models"
PACKAGE = HERE.parent / "adapters/echelon/adapters/baseline/models"
MANIFEST, RESULTS = "specialists.json", "results.json"
STAGES = ("specialists", "generalists", "scores", "ship")
PLAN = Plan()
SPECIALIST_SEEDS = (1, 2)
GENERALIST_SEED = 1

GENERALISTS = {
    "comprehension": {Paradigm.COMPREHENSION},
    "generation": {Paradigm.GENERATION},
    "both": {Paradigm.COMPREHENSION, Paradigm.GENERATION, Paradigm.LANGUAGE},
}

PHRASES = {
    "image-digits": "which digit is",
    "image-segmentation": "mark each pixel",
    "image-detection": "put a box around",
    "image-gauge": "gauge read",
    "image-denoising": "noise from this picture",
    "image-drawing": "draw a",
    "video-direction": "which direction",
    "video-continuation": "continue the film",
    "audio-notes": "name the notes",
    "audio-denoising": "noise from this recording",
    "3d-naming": "which solid",
    "3d-completion": "half of this solid is missing",
    "language-sums": "are there in the end",
    "language-mood": "does the writer think",
    "language-spelling": "correct the spelling",
    "language-pattern": "which four letters",
}
"""The words that tell a task's instruction from all others."""


def main(stages: set[str]) -> None:
    if stages & {"specialists", "generalists"}:
        train(stages)
    if "scores" in stages:
        (BUILD / RESULTS).write_text(json.dumps(scores(), indent=2) + "\n")
    if "ship" in stages:
        ship()


def train(stages: set[str]) -> None:
    torch.set_num_threads(2)
    vocabulary = vocabulary_of(PROBLEMS)
    lessons = [
        Lesson(problem, load(problem, Split.TRAIN, vocabulary), load(problem, Split.VALIDATION, vocabulary))
        for problem in PROBLEMS
    ]
    if "specialists" in stages:
        specialists(lessons, vocabulary)
    if "generalists" in stages:
        generalists(lessons, vocabulary)


def specialists(lessons: list[Lesson], vocabulary: dict[str, int]) -> None:
    """One network a task, the best of its tries on validation data; ends with a manifest of their digests."""
    folder, manifest = MODELS / "specialists", {}
    shutil.rmtree(folder, ignore_errors=True)
    for lesson in lessons:
        started = time.monotonic()
        tried = tries(lesson, vocabulary)
        best = choose(lesson.problem, tried)
        shutil.copytree(BUILD / "tries" / lesson.problem.id / best, folder / lesson.problem.id)
        manifest[lesson.problem.id] = {
            "kept": best,
            "validation_scores": {name: round(reached, 4) for name, reached in tried.items()},
            "digest": digest(folder / lesson.problem.id),
        }
        print(f"{lesson.problem.id}: {manifest[lesson.problem.id]} in {time.monotonic() - started:.0f} s", flush=True)
    (folder / "bundle.yaml").write_text(yaml.safe_dump(bundle(), sort_keys=False))
    (BUILD / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def tries(lesson: Lesson, vocabulary: dict[str, int]) -> dict[str, float]:
    """The validation score of a specialist from each seed, at its lowest loss and in the end."""
    problem, reached = lesson.problem, {}
    description = f"Does one task: {problem.starter.task.title.lower()}."
    for seed in SPECIALIST_SEEDS:
        lowest, last = learn([lesson], len(vocabulary) + 2, PLAN, seed)
        for name, learned in ((f"seed-{seed}-lowest-loss", lowest), (f"seed-{seed}-last-step", last)):
            folder = BUILD / "tries" / problem.id / name
            export(learned.network, [problem], vocabulary, folder, description=description)
            reached[name] = score(folder, [problem])[problem.id]
    return reached


def choose(problem: Problem, tried: dict[str, float]) -> str:
    """The name of the best try, by the task's own metric."""
    task = problem.starter.task
    better = max if metric(task.metric, task.worst, task.labels).higher_is_better else min
    return better(tried, key=lambda name: tried[name])


def bundle() -> dict[str, object]:
    routes = [
        {"phrase": PHRASES[problem.id], "call": problem.starter.task.call.value, "folder": problem.id}
        for problem in PROBLEMS
    ]
    return {"description": "Sixteen specialists, one for each task of the starter suite.", "routes": routes}


def generalists(lessons: list[Lesson], vocabulary: dict[str, int]) -> None:
    """Three networks, each trained at once on all tasks of its paradigms; one seed each."""
    check_frozen()
    for name, paradigms in GENERALISTS.items():
        started = time.monotonic()
        own = [lesson for lesson in lessons if lesson.problem in tasks_of(name)]
        learned, _ = learn(own, len(vocabulary) + 2, PLAN, GENERALIST_SEED)
        folder = MODELS / f"generalist-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        kinds = " and ".join(sorted(paradigms))
        description = f"One network for {len(own)} tasks, trained on {kinds} together."
        problems = [lesson.problem for lesson in own]
        export(learned.network, problems, vocabulary, folder, description=description)
        rounded = {task: round(loss, 4) for task, loss in learned.losses.items()}
        print(f"{name}: {rounded} in {time.monotonic() - started:.0f} s", flush=True)


def check_frozen() -> None:
    """Specialists are what the generalists are measured against: they must be as the manifest says."""
    manifest = json.loads((BUILD / MANIFEST).read_text())
    changed = [task for task, entry in manifest.items() if digest(MODELS / "specialists" / task) != entry["digest"]]
    if changed:
        raise SystemExit(f"specialists differ from {BUILD / MANIFEST}: {', '.join(changed)}")


def scores() -> dict[str, dict[str, object]]:
    """Each task's scores on the validation data, in the metric's own unit, with the specialist's sigma."""
    reached = {name: score(MODELS / f"generalist-{name}", tasks_of(name)) for name in GENERALISTS}
    entries: dict[str, dict[str, object]] = {}
    for problem in PROBLEMS:
        task = problem.starter.task
        specialist = score(MODELS / "specialists" / task.id, [problem])[task.id]
        entries[task.id] = {
            "metric": task.metric,
            "chance": task.chance,
            "specialist": round(specialist, 4),
            "specialist_sigma": round(sigma(task.metric, specialist, "2025"), 1),
            **{name: round(own[task.id], 4) for name, own in reached.items() if task.id in own},
        }
    return entries


def ship() -> None:
    """Put the models into the package, and what is known of them beside this script."""
    check_frozen()
    shutil.rmtree(PACKAGE, ignore_errors=True)
    shutil.copytree(MODELS, PACKAGE)
    for name in (MANIFEST, RESULTS):
        shutil.copy(BUILD / name, HERE / name)


def tasks_of(generalist: str) -> list[Problem]:
    return [problem for problem in PROBLEMS if problem.starter.task.paradigm in GENERALISTS[generalist]]


if __name__ == "__main__":
    main(set(sys.argv[1:] or STAGES))
