"""The profile `official` beside what General-Level's own evaluators gave for the same annotations and predictions."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from echelon.adapters import Audio, Image
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.scoring import score
from echelon.scorer.results import TaskResult

Case: TypeAlias = dict[str, Any]

RECORDED = json.loads((Path(__file__).parent / "published" / "official-evaluators.json").read_text())
FOLDERS = {
    "text": "nlp",
    "audio": "audio/comprehension",
    "video": "video/comprehension",
    "VideoRestorationTask": "video/generation",
}
IN_PERCENT = ("AccTask", "BLEUTASK", "TaskActionDet", "TaskRVOS", "TaskVOS")
IN_FLOAT32 = ("FlowTask", "TaskVDE", "VideoObjectDetectionTask")
NEEDS_PUNKT = ("AudioCaptions", "AudioCaptionsClotho", "OpenAQA")
CASES = [case for case in RECORDED["cases"] if find_spec("codebleu") or case["official"].get("metric") != "CodeBLEU"]
"""Those that can be measured here: there are Pythons that CodeBLEU's parser has no wheels for."""
PIXEL = Image.from_array(np.zeros((4, 4, 3), np.uint8)).data


def name(case: Case) -> str:
    return f"{case['kind']}-{case['class']}"


def files_under(folder: Path, case: Case) -> None:
    """The media that the items of a case name."""
    for n, item in enumerate(case["annotation"]["data"]):
        match case["class"]:
            case "FlowTask":
                flow = np.array(item["reference"], "<f4")
                write_flow(folder / "videos" / f"{n}.flo", flow)
            case "TaskVDE":
                write_array(folder / "videos" / f"{n}.npz", np.array(item["reference"], np.float32))
            case "VideoRestorationTask" | "VideoObjectDetectionTask":
                write_frames(folder / "videos" / f"gold{n}", item["reference"])
    if case["kind"] == "audio":
        for n in range(len(case["annotation"]["data"])):
            write(folder / "audios" / f"{n}.wav", Audio.from_array(np.zeros(16) + n / 100, 16_000).data)
    write(folder / "videos" / "frames" / "0.png", PIXEL)
    write(folder / "videos" / "clip.gif", b"GIF89a")


def predictions_of(case: Case, folder: Path) -> list[dict[str, Any]]:
    """The predictions in the forms that this project reads, media as files."""
    found = []
    for item in case["predictions"]:
        value, n = item.get("prediction"), item.get("id")
        match case["class"]:
            case "FlowTask":
                value = write_flow(folder / f"{n}.flo", np.array(value, "<f4"))
            case "TaskVDE":
                value = write_array(folder / f"given{n}.npz", np.array(value, np.float32))
            case "VideoRestorationTask" | "VideoObjectDetectionTask":
                value = write_frames(folder / f"given{n}", value)
            case "TaskVOS" | "TaskRVOS":
                value = {str(frame): mask for frame, mask in enumerate(value)}
            case "TaskActionDet":
                value = {
                    str(frame): {"bbox": [left, top, right - left, bottom - top]}
                    for frame, (left, top, right, bottom) in enumerate(value)
                }
            case _:
                found.append(item)
                continue
        found.append({"id": n, "prediction": value})
    return found


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path.name


def write_flow(path: Path, flow: np.ndarray) -> str:
    height, width, _ = flow.shape
    return write(path, struct.pack("<fii", 202021.25, width, height) + flow.tobytes())


def write_array(path: Path, array: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, disparity=array)
    return path.name


def write_frames(folder: Path, frames: list[Any]) -> str:
    for n, pixels in enumerate(frames):
        write(folder / f"{n:03}.png", Image.from_array(np.array(pixels, np.uint8)).data)
    return folder.name


def measured(case: Case, root: Path) -> TaskResult:
    """The result of a case in the profile `official`."""
    place = FOLDERS.get(case["class"], FOLDERS[case["kind"]])
    folder, predicted = (root / side / place / case["task"] for side in ("bench", "predicted"))
    files_under(folder, case)
    (folder / "annotation.json").write_text(json.dumps(case["annotation"]))
    predicted.mkdir(parents=True)
    (predicted / "prediction.json").write_text(json.dumps(predictions_of(case, predicted)))
    suite = GeneralBench(root / "bench", root / "cache", official=True)
    (task,) = [
        task for task in score(suite, root / "predicted", model="m").result.tasks if task.task.title == case["task"]
    ]
    return task


@pytest.fixture
def punkt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Gives NLTK a model of sentences that knows no abbreviations."""

    def install() -> None:
        for file in ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt"):
            write(tmp_path / "nltk/tokenizers/punkt_tab/english" / file, b"")
        monkeypatch.setattr("nltk.data.path", [str(tmp_path / "nltk")])

    monkeypatch.setattr("nltk.data.path", [])
    return install


@pytest.mark.parametrize("case", [case for case in CASES if "score" in case["official"]], ids=name)
def test_the_score_is_that_of_the_official_evaluator(case: Case, tmp_path: Path, punkt: Callable[[], None]) -> None:
    if case["class"] in NEEDS_PUNKT:
        punkt()
    task = measured(case, tmp_path)
    assert task.not_computed == ""
    assert task.score is not None
    unit = 100 if case["class"] in IN_PERCENT else 1
    tolerance = 1e-6 if case["class"] in IN_FLOAT32 else 1e-9
    assert task.score * unit == pytest.approx(case["official"]["score"], rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case["official"]], ids=name)
def test_where_the_official_evaluator_stops_there_is_no_score_and_a_reason(case: Case, tmp_path: Path) -> None:
    task = measured(case, tmp_path)
    assert task.score is None
    assert "the official" in task.not_computed
    assert "stops with an error" in task.not_computed


WITHOUT_PUNKT = """
import nltk.data
from echelon.adapters import Text
from echelon.scorer.errors import NotComputedError
from echelon.scorer.metrics.registry import metric
nltk.data.path[:] = []
try:
    metric("bleu1_nltk_official").sample(Text("a dog"), [Text("a dog")])
except NotComputedError as error:
    print(error)
"""


def test_captions_of_sounds_wait_for_the_tokenizer_that_the_official_script_needs() -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT_PUNKT], check=True, capture_output=True, text=True).stdout
    assert "python -m nltk.downloader punkt_tab" in told


def test_every_kind_of_evaluator_is_covered() -> None:
    classes = {kind: {case["class"] for case in RECORDED["cases"] if case["kind"] == kind} for kind in FOLDERS}
    assert {kind: len(classes[kind]) for kind in ("text", "audio", "video")} == {"text": 31, "audio": 20, "video": 11}


NAMES = json.loads((Path(__file__).parent / "published" / "official-names.json").read_text())["groups"]
OWN_NAMES = {
    "AcousticSceneClassification": "Acoustic Scene Recognition",
    "AnimalSoundClassification": "Animal Sound Detection",
    "AudioCaptioning": "Long Audio Captioning",
    "AudioCaptions": "Long Audio Captioning",
    "AudioCaptioningClotho": "Wild Audio Captioning",
    "AudioCaptionsClotho": "Wild Audio Captioning",
    "BackgroundConsistency": "Background-Consistency Text to Video Geneation",
    "ColorMatch": "Color Aware Object Matching",
    "ComplexSceneFlowEstimate": "Optical Flow in Complex Scene Estimation",
    "CrowdTrack": "Video Object Tracking in Crowd Sense",
    "HumanHumanInteractionVideoCaptioning": "Human-Human Interaction Video Humanity Captioning",
    "HumanObjectInteractionVideoCaptioning": "Human-Object Interaction Video Humanity Captioning",
    "OtherPartTrack": "General Objects Part Tracking",
    "SoundEventClassification": "Sound Event Recognition",
    "UAVBuildingTrack": "UAV Video Building Tracking",
    "VehicleI2V": "Vehicle Image to Video Generation",
}
"""Those that are neither the sheet's name nor its short name."""


@pytest.mark.parametrize("group", NAMES, ids=lambda group: group["names"][0])
def test_folders_may_have_the_names_that_the_official_scripts_use(group: dict[str, Any], tmp_path: Path) -> None:
    for name in group["names"]:
        folder = tmp_path / "bench" / group["place"] / name
        folder.mkdir(parents=True)
        (folder / "annotation.json").write_text(
            json.dumps([{"id": 0, "input": {"prompt": "?"}, "output": {"text": "x"}}])
        )
    suite = GeneralBench(tmp_path / "bench", tmp_path / "cache")
    titles = {found.name: task.title for task in suite.tasks if (found := suite.folder(task))}
    assert titles.keys() == set(group["names"])
    assert {name: title for name, title in OWN_NAMES.items() if name in titles}.items() <= titles.items()


def test_predictions_may_lie_in_a_folder_of_the_official_name(tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case["class"] == "SoundEventClassification"]
    measured(case, tmp_path)
    place = tmp_path / "predicted/audio/comprehension"
    (place / case["task"]).rename(place / "SoundEventClassification")
    suite = GeneralBench(tmp_path / "bench", tmp_path / "cache", official=True)
    (task,) = [task for task in score(suite, tmp_path / "predicted", model="m").result.tasks if task.sample_count]
    assert task.score == pytest.approx(case["official"]["score"])
