"""General-Bench from the front door: runs over gRPC, scores of prediction files, and what is submitted."""

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.adapters import Audio, Image
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.scoring import score
from echelon.scorer.general_bench.workbooks import read
from echelon.scorer.outcomes import State
from echelon.scorer.suites.answers import write_answers

COUNT = 6
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, COUNT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["A", "b", "0", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def tasks(self) -> dict[str, Any]:
        """The tasks of the JSON that have samples, by id."""
        return {task["id"]: task for task in json.loads(self.out)["tasks"] if task["sample_count"]}


Echelon: TypeAlias = Callable[..., Ended]


@pytest.fixture
def echelon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Echelon:
    """Runs the command line to its end, in this process."""
    from echelon.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))

    def run(*arguments: Any) -> Ended:
        monkeypatch.setattr(sys, "argv", ["echelon", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def picture(seed: int) -> bytes:
    return Image.from_array(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)).data


def sound(seed: int) -> bytes:
    return Audio.from_array(np.random.default_rng(seed).uniform(-0.5, 0.5, 160), 16_000).data


def cloud(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).normal(size=(32, 3)).astype(np.float32))


def flow(seed: int) -> bytes:
    values = np.random.default_rng(seed).normal(size=(3, 4, 2)).astype("<f4")
    return struct.pack("<fii", 202021.25, 4, 3) + values.tobytes()


def task_called(metric: str, sheet: str) -> str:
    return next(entry.task for entry in catalogue().entries if (entry.metric, entry.sheet) == (metric, sheet))


FLOW = task_called("EPE", "Video-Comprehension")
TRACK = task_called("AUC", "Video-Comprehension")
DENOISE = task_called("PSNR", "Image-Generation")
SEGMENT = "Pedestrian Instance Segmentation"


def masked(first: int, height: int, width: int) -> dict[str, Any]:
    """An instance that fills one column, as COCO's annotations have it."""
    counts = [height * first, height, height * (width - first - 1)]
    return {"category_id": 1, "iscrowd": 0, "segmentation": {"size": [height, width], "counts": counts}}


def items(closed: bool, made: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("id", "input") if closed else ("id", "input", "output")
    return [{name: value for name, value in {"id": n, **made(n)}.items() if name in kept} for n in range(COUNT)]


def make_bench(root: Path, *, closed: bool = False) -> Path:
    """A small tree with a task of every sort of answer."""
    write(
        root / "nlp/Commonsense-Reasoning/annotation.json",
        {
            "task": "Commonsense Reasoning",
            "type": "MultipleChoiceQA",
            "data": items(
                closed,
                lambda n: {
                    "input": {"question": f"Is {n} even?", "options": ["yes", "no"]},
                    "output": {"answer": "AB"[n % 2]},
                },
            ),
        },
    )
    write(
        root / "nlp/Legal-NER/annotation.json",
        {
            "type": "ner",
            "data": items(
                closed,
                lambda n: {
                    "input": {"raw_text": f"Ann sued Bob{n}", "prompt": "Names in <<<raw_text>>>?"},
                    "output": {"entities": f"Ann, Bob{n}"},
                },
            ),
        },
    )
    write(
        root / "nlp/Time-Series/annotation.json",
        {
            "type": "Time Series",
            "data": items(closed, lambda n: {"input": {"data": [n, n + 1]}, "output": {"target": n + 2.0}}),
        },
    )
    write(
        root / "nlp/History-Question-Answering/annotation.json",
        {
            "type": "OpenQA",
            "data": items(
                closed, lambda n: {"input": {"question": f"Who was {n}?"}, "output": {"answer": f"King {n}"}}
            ),
        },
    )
    accents = root / "audio/comprehension/AccentClassification"
    write(
        accents / "annotation.json",
        items(
            closed,
            lambda n: {
                "input": {"audio_file": f"{n}.wav", "prompt": "Which accent?"},
                "output": {"text": ["Scottish", "Irish"][n % 2]},
            },
        ),
    )
    denoise = root / "image/generation" / DENOISE
    write(
        denoise / "annotation.json",
        items(
            closed,
            lambda n: {
                "input": {"image": f"images/{n}.png", "prompt": "Clean it."},
                "output": {"image": f"images/gold{n}.png"},
            },
        ),
    )
    points = root / "3D/generation/3D Point Cloud Completion"
    write(
        points / "annotation.json",
        items(
            closed,
            lambda n: {
                "input": {"pointcloud": f"{n}.npy", "prompt": "Complete it."},
                "output": {"pointcloud": f"gold{n}.npy"},
            },
        ),
    )
    flows = root / "video/comprehension" / FLOW
    write(
        flows / "annotation.json",
        items(
            closed,
            lambda n: {"input": {"video_folder": f"v{n}", "prompt": "The flow?"}, "output": {"flow": f"flows/{n}.flo"}},
        ),
    )
    tracks = root / "video/comprehension" / TRACK
    write(
        tracks / "annotation.json",
        items(
            closed,
            lambda n: {
                "input": {"video_folder": f"v{n}", "prompt": "Follow it."},
                "output": {"answer": [[n, 1, 4, 4], [n + 1, 1, 4, 4]]},
            },
        ),
    )
    people = root / "image/comprehension" / SEGMENT
    write(
        people / "annotation.json",
        items(
            closed,
            lambda n: {
                "input": {"image": f"images/{n}.png", "prompt": "Outline each person."},
                "output": {"annotations": [masked(at, 9, n + 3) for at in range(2)]},
            },
        ),
    )
    for n in range(COUNT):
        write(people / "images" / f"{n}.png", picture(n))
        write(accents / "audios" / f"{n}.wav", sound(n))
        write(denoise / "images" / f"{n}.png", picture(n))
        write(denoise / "images" / f"gold{n}.png", picture(n + 100))
        cloud(points / "pointclouds" / f"{n}.npy", n)
        cloud(points / "pointclouds" / f"gold{n}.npy", n + 100)
        write(flows / "flows" / f"{n}.flo", flow(n))
        for task in (flows, tracks):
            for frame in range(2):
                write(task / "videos" / f"v{n}" / f"{frame}.png", picture(1000 + 10 * n + frame))
    return root


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """The open set."""
    return make_bench(tmp_path / "bench")


@pytest.fixture
def controls(bench: Path, tmp_path: Path, processes: Callable[..., Any]) -> str:
    """The address of a server with the oracle, of the open set, and a null."""
    answers = tmp_path / "answers.jsonl"
    write_answers(GeneralBench(bench, tmp_path / "cache"), answers)
    models = [
        {"name": "oracle", "adapter": "oracle", "settings": {"answers": str(answers)}},
        {"name": "null", "adapter": "null"},
    ]
    config = write(tmp_path / "server.json", {"models": models})
    address: str = processes("--config", str(config))[1]
    return address


PERFECT = {
    "nlp-commonsense-reasoning": 1.0,
    "nlp-legal-ner": 1.0,
    "nlp-time-series": 0.0,
    "nlp-history-question-answering": 1.0,
    "audio-comprehension-accent-classification": 1.0,
    "3d-generation-3d-point-cloud-completion": 0.0,
    "image-comprehension-pedestrian-instance-segmentation": 1.0,
}


def test_a_run_is_scored_and_what_is_submitted_of_it_scores_the_same(
    bench: Path, controls: str, tmp_path: Path, echelon: Echelon
) -> None:
    ran = echelon("run", bench, "--model", f"{controls}/oracle", "--json", "--quiet")
    assert ran.code == 0, ran.err
    tasks = ran.tasks
    assert len(tasks) == 10
    assert {task["not_computed"] for task in tasks.values()} == {None}
    assert {name: tasks[name]["score"] for name in PERFECT} == PERFECT
    assert all(task["mark"] != "below" and task["score"] is not None for task in tasks.values())

    exported = echelon("export", "--predictions", "out", "--workbook", "oracle.xlsx", "--name", "Oracle 1")
    assert exported.code == 0, exported.err
    scored = echelon("score", bench, "--predictions", "out", "--json")
    assert scored.code == 0, scored.out
    again = scored.tasks
    assert {name: (task["score"], task["metric"]) for name, task in again.items()} == {
        name: (task["score"], task["metric"]) for name, task in tasks.items()
    }
    assert read(tmp_path / "oracle.xlsx").models == ("Oracle 1",)


def test_a_model_that_says_nothing_wins_nothing(bench: Path, controls: str, echelon: Echelon) -> None:
    ran = echelon("run", bench, "--model", f"{controls}/null", "--json", "--quiet")
    assert ran.code == 3
    tasks = ran.tasks
    assert not any(task["won"] for task in tasks.values())
    for name in ("nlp-legal-ner", "nlp-history-question-answering"):
        assert tasks[name]["score"] == 0
    # It names the first label whatever it is asked.
    for name in ("nlp-commonsense-reasoning", "audio-comprehension-accent-classification"):
        assert tasks[name]["score"] == tasks[name]["chance_basis"]["declared"] == 0.5
        assert tasks[name]["chance"] >= tasks[name]["score"]
        assert not tasks[name]["above_chance"]


def test_a_closed_set_is_asked_and_submitted(controls: str, tmp_path: Path, echelon: Echelon) -> None:
    closed = make_bench(tmp_path / "closed", closed=True)
    tasks = ("--task", "nlp-legal-ner", "--task", "3d-generation-3d-point-cloud-completion")
    ran = echelon("run", closed, "--model", f"{controls}/oracle", "--json", "--quiet", *tasks)
    assert ran.code == 0, ran.err
    assert {task["not_computed"] for task in ran.tasks.values()} == {"closed: no references"}
    assert echelon("export", "--predictions", "out").code == 0
    submitted = json.loads((tmp_path / "out/nlp/Legal-NER/prediction.json").read_text())
    assert (submitted["task"], submitted["type"]) == ("Legal NER", "ner")
    assert submitted["data"][0] == {"id": 0, "prediction": "ann<p>bob0"}
    # Whoever has the references can score it.
    scored = echelon("score", tmp_path / "bench", "--predictions", "out", "--json").tasks
    assert scored["nlp-legal-ner"]["score"] == scored["3d-generation-3d-point-cloud-completion"]["score"] + 1 == 1.0


def predict(root: Path, folder: str, content: object) -> Path:
    return write(root / folder / "prediction.json", content)


def answers(*values: object) -> list[dict[str, Any]]:
    return [{"id": n, "prediction": value} for n, value in enumerate(values)]


RIGHT = ["A", "B", "A", "B", "A", "B"]


@pytest.mark.parametrize("form", [lambda data: data, lambda data: {"task": "Commonsense Reasoning", "data": data}])
def test_both_forms_of_predictions_are_read(form: Callable[[Any], object], bench: Path, echelon: Echelon) -> None:
    predict(bench, "nlp/Commonsense-Reasoning", form(answers("A", "B", "A", "B", "A", "A")))
    scored = echelon("score", bench, "--json")
    assert scored.tasks["nlp-commonsense-reasoning"]["score"] == pytest.approx(5 / 6)
    # The others are predicted by nobody: they count as unsupported.
    assert scored.tasks["nlp-legal-ner"]["counts"] == {"unsupported": COUNT}


def test_leaving_hard_samples_out_never_pays(bench: Path, echelon: Echelon) -> None:
    scores = []
    for kept in (6, 5, 3):
        predict(bench, "nlp/Commonsense-Reasoning", answers(*RIGHT)[:kept])
        scored = echelon("score", bench, "--json")
        task = scored.tasks["nlp-commonsense-reasoning"]
        scores.append(task["score"])
        assert scored.code == (0 if kept == 6 else 3)
        assert task["coverage"] == 1.0
        assert task["counts"].get("invalid", 0) == 6 - kept
    assert scores == [1.0, 5 / 6, 0.5]


def test_every_fault_of_a_prediction_file_is_told(bench: Path, echelon: Echelon) -> None:
    data = [
        {"id": 0, "prediction": "A"},
        {"id": "1", "prediction": "B"},
        {"id": 0, "prediction": "A"},
        {"id": 2, "prediction": "A"},
        {"id": 2, "prediction": "B"},
        {"id": 77, "prediction": "A"},
        {"id": 3},
        {"id": [], "prediction": "A"},
        {"id": 4, "prediction": None},
    ]
    file = predict(bench, "nlp/Commonsense-Reasoning", data)
    predict(bench, "nlp/Legal-NR", [])
    predict(bench, "nlp/Time-Series", {"x": 1})
    scored = echelon("score", bench, "--json")
    told = {
        (each["sample"], each["message"]) for each in json.loads(scored.out)["findings"] if each["file"] == str(file)
    }
    assert told == {
        ("0", "is predicted more than once, in the same way"),
        ("2", "is predicted more than once, differently, so neither counts"),
        ("77", "the task has no such item"),
        ("3", "has neither 'prediction' nor 'prediction_final'"),
        ("7", "has the id [], counted from 0; an id is a whole number or a text"),
        ("3", "has no prediction and counts as wholly wrong"),
        ("5", "has no prediction and counts as wholly wrong"),
    }
    messages = " ".join(each["message"] for each in json.loads(scored.out)["findings"])
    assert "the suite has no task 'Legal-NR'; nearest are 'Legal NER'" in messages
    assert 'neither a list of items nor an object with a list "data"' in messages
    task = scored.tasks["nlp-commonsense-reasoning"]
    assert task["counts"] == {"answered": 2, "invalid": 4}
    assert task["score"] == pytest.approx(2 / 6)


@given(data=st.lists(st.dictionaries(st.sampled_from(["id", "prediction", "prediction_final"]), JSON), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_whatever_is_predicted_every_sample_ends_once(data: list[dict[str, Any]], tmp_path: Path) -> None:
    questions = [
        {"id": n, "input": {"question": "?", "options": ["x", "y"]}, "output": {"answer": "A"}} for n in range(COUNT)
    ]
    write(tmp_path / "nlp/Commonsense-Reasoning/annotation.json", {"type": "MultipleChoiceQA", "data": questions})
    predict(tmp_path, "nlp/Commonsense-Reasoning", data)
    suite = GeneralBench(tmp_path, tmp_path / "cache")
    (task,) = [task for task in score(suite, tmp_path, model="m").result.tasks if task.sample_count]
    assert sum(task.counts.values()) == task.sample_count == COUNT
    assert task.complete
    assert task.score is not None
    assert task.score <= task.counts.get(State.ANSWERED, 0) / COUNT


def test_two_files_for_one_task_are_refused(bench: Path, tmp_path: Path, echelon: Echelon) -> None:
    for name in ("Commonsense-Reasoning", "commonsense_reasoning"):
        predict(tmp_path / "out", name, answers(*RIGHT))
    scored = echelon("score", bench, "--predictions", "out")
    assert scored.code == 1
    assert "take one away" in scored.err


def test_solutions_of_problems_are_taken_by_their_final_answer(bench: Path, echelon: Echelon) -> None:
    problems = [{"id": n, "problem": {"text": "?"}, "output": {"solution": {"final_answer": n}}} for n in range(2)]
    folder = "nlp/Mathematical-Word-Problem-Solving"
    write(bench / folder / "annotation.json", {"type": "Mathematical Word Problem Solving", "data": problems})
    predict(bench, folder, [{"id": n, "prediction_steps": "so", "prediction_final": n} for n in range(2)])
    task = echelon("score", bench, "--json").tasks["nlp-mathematical-word-problem-solving"]
    assert task["score"] == 1.0


@pytest.mark.parametrize("name", ["../../../../secret.png", "/etc/passwd", "nowhere.png", 7, None, {"a": 1}, "x.exe"])
def test_a_predicted_file_that_cannot_be_read_is_an_invalid_answer(name: Any, bench: Path, echelon: Echelon) -> None:
    write(bench.parent / "secret.png", picture(1))
    folder = f"image/generation/{DENOISE}"
    write(bench / folder / "mine.png", picture(100))
    predict(bench, folder, answers("mine.png", name, *(["mine.png"] * 4)))
    scored = echelon("score", bench, "--json")
    task = next(task for task in scored.tasks.values() if task["title"] == DENOISE)
    assert task["counts"] == {"answered": 5, "invalid": 1}
    assert scored.code == 3


def test_the_official_profile_measures_as_the_official_evaluator_does(bench: Path, echelon: Echelon) -> None:
    twice = [{"id": 0, "prediction": "nobody"}, *answers(*[f"King {n} of all" for n in range(4)])]
    predict(bench, "nlp/History-Question-Answering", twice)
    predict(bench, "nlp/Time-Series", answers(*(n + 3.0 for n in range(COUNT))))
    predict(bench, "nlp/Legal-NER", answers(*(f"ann<p>bob{n}" for n in range(COUNT))))
    official = echelon("score", bench, "--profile", "official", "--json").tasks
    assert official["nlp-history-question-answering"]["sample_count"] == 4
    assert official["nlp-history-question-answering"]["score"] == pytest.approx(2 * 2 / (4 + 2))
    assert official["nlp-history-question-answering"]["sota"] is None
    assert official["nlp-time-series"]["score"] == pytest.approx(1.0)
    assert official["nlp-legal-ner"]["score"] == 1.0
    strict = echelon("score", bench, "--json")
    assert strict.tasks["nlp-history-question-answering"]["sample_count"] == COUNT
    messages = [each["message"] for each in json.loads(strict.out)["findings"]]
    assert any("computes F1 for annotations of type 'OpenQA', the sheet asks for BLEU-1" in each for each in messages)
    assert any(
        "computes MAE for annotations of type 'Time Series', the sheet asks for RMSE" in each for each in messages
    )


def test_the_official_profile_measures_videos_as_the_predictors_do(bench: Path, echelon: Echelon) -> None:
    predict(bench, f"video/comprehension/{TRACK}", answers(*([[n, 1, 4, 4], [50, 1, 4, 4]] for n in range(COUNT))))
    predict(bench, f"video/comprehension/{FLOW}", answers(*(f"flows/{n}.flo" for n in range(COUNT))))
    predict(bench, f"image/comprehension/{SEGMENT}", answers(*[[]] * COUNT))
    official = echelon("score", bench, "--profile", "official", "--json")
    tasks = {task["title"]: task for task in official.tasks.values()}
    # The first box is right and the second hits nothing: half the overlap, and half of the boxes on either side.
    assert tasks[TRACK]["metric"].startswith("j_and_f_official")
    assert tasks[TRACK]["score"] == pytest.approx(COUNT / 2 / (COUNT + 1e-4))
    assert tasks[TRACK]["sota"] is None
    assert tasks[FLOW]["metric"].startswith("epe_official")
    assert (tasks[FLOW]["score"], tasks[FLOW]["sota"] is None) == (0, False)
    assert "no official evaluator" in tasks[SEGMENT]["not_computed"]
    messages = [each["message"] for each in json.loads(official.out)["findings"]]
    assert any(f"{TRACK}: the official evaluator computes J&F" in each for each in messages)


def test_predicted_instances_may_be_json_or_its_text(bench: Path, echelon: Echelon) -> None:
    folder = f"image/comprehension/{SEGMENT}"
    found = [[{**masked(at, 9, n + 3), "score": 0.5 + at / 10} for at in range(2)] for n in range(COUNT)]
    for said in (found, [json.dumps(each) for each in found]):
        predict(bench, folder, answers(*said))
        (task,) = (each for each in echelon("score", bench, "--json").tasks.values() if each["title"] == SEGMENT)
        assert (task["score"], task["counts"]) == (1.0, {"answered": COUNT})
    predict(bench, folder, answers("nobody", "[oops", *found[2:]))
    scored = echelon("score", bench, "--json")
    (task,) = (each for each in scored.tasks.values() if each["title"] == SEGMENT)
    assert task["counts"] == {"answered": COUNT - 2, "invalid": 2}
    assert 0 < task["score"] < 1


def test_annotations_of_instances_in_another_form_leave_one_task_without_a_score(bench: Path, echelon: Echelon) -> None:
    item = {"id": 0, "input": {"image": "images/0.png", "prompt": "?"}, "output": {"people": [[0, 0, 1, 1]]}}
    write(bench / "image/comprehension" / SEGMENT / "annotation.json", [item])
    predict(bench, "nlp/Commonsense-Reasoning", answers(*RIGHT))
    scored = echelon("score", bench, "--json")
    assert scored.code == 0
    (task,) = (each for each in scored.tasks.values() if each["title"] == SEGMENT)
    assert (
        "1 of 1 items cannot be read: item 0: this is no list of instances as COCO writes them" in task["not_computed"]
    )


def test_text_says_what_json_says(bench: Path, echelon: Echelon) -> None:
    predict(bench, "nlp/Commonsense-Reasoning", answers(*RIGHT)[:5])
    scored = echelon("score", bench, "--name", "mine")
    assert "without samples here, 0 in every level: 689 of 699 tasks" in scored.out
    assert "item 5: has no prediction and counts as wholly wrong" in scored.out
    assert "mine, unverified" in scored.out


def test_a_workbook_has_every_row_and_says_what_is_missing(bench: Path, tmp_path: Path, echelon: Echelon) -> None:
    predict(bench, "nlp/Commonsense-Reasoning", answers(*RIGHT[:3], "B", "A", "A"))
    assert echelon("score", bench, "--workbook", "mine.xlsx", "--name", "=Mine").code == 0
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(tmp_path / "mine.xlsx")
    rows = {sheet: book.get_sheet_by_name(sheet).to_python() for sheet in book.sheet_names}
    assert sum(len(sheet) - 1 for sheet in rows.values()) == 699
    assert rows["NLP"][0] == ["No", "Task Name", "Task Short Name", "Metrics", "=Mine"]
    cells = {(sheet, row[1]): row[4] if len(row) > 4 else "" for sheet, lines in rows.items() for row in lines[1:]}
    assert cells["NLP", "Commonsense Reasoning"] == pytest.approx(100 * 5 / 6)
    assert cells["NLP", "Time Series"] == "∞"
    assert cells["NLP", "Legal NER"] == 0.0
    assert cells["NLP", "Causal Reasoning"] == ""
    first = (tmp_path / "mine.xlsx").read_bytes()
    echelon("score", bench, "--workbook", "mine.xlsx", "--name", "=Mine")
    assert (tmp_path / "mine.xlsx").read_bytes() == first


def test_a_run_of_another_suite_is_not_exported(tmp_path: Path, controls: str, echelon: Echelon) -> None:
    assert echelon("run", "starter", "--samples", 5, "--model", f"{controls}/null", "--quiet").code == 3
    refused = echelon("export", "--predictions", "out")
    assert refused.code == 1
    assert "which is not General-Bench" in refused.err
    assert echelon("export").code == 2


def test_a_suite_can_be_shown_and_checked(bench: Path, echelon: Echelon) -> None:
    shown = echelon("suites", "show", bench)
    assert "689 tasks not computed, absent: not in the folder" in shown.out
    assert "nlp-commonsense-reasoning" in shown.out
    assert len(json.loads(echelon("suites", "show", bench, "--json").out)["tasks"]) == 699
    checked = echelon("suites", "validate", bench)
    assert checked.code == 0, checked.out
    assert "is in order: 10 tasks, 60 samples" in checked.out
    write(bench / "audio/comprehension/AccentClassification/audios/3.wav", b"no sound")
    broken = echelon("suites", "validate", bench)
    assert broken.code == 1
    assert "item 3: audios/3.wav is not audio/wav, as its name says" in broken.out


@pytest.mark.parametrize("content", [b"", "[]".encode("utf-16"), b'[{"id": 0, "prediction": "\xe9"}]', b"{}"])
def test_where_no_file_predicts_anything_nothing_is_scored(content: bytes, bench: Path, echelon: Echelon) -> None:
    predict(bench, "nlp/Commonsense-Reasoning", answers(*RIGHT))
    assert echelon("score", bench).code == 0
    (file,) = bench.rglob("prediction.json")
    file.write_bytes(content)
    ended = echelon("score", bench)
    assert ended.code == 1
    assert str(file) in ended.out
