"""Embedders, judges and readers: how they are named and opened, what metrics make of them, what happens without."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from echelon.adapters import Audio, Choice, Image, Json, Kind, Number, Part, Tensor, Text, Video
from echelon.adapters.errors import AdapterLoadError, SettingsError
from echelon.cli import echelon as commands
from echelon.scorer.errors import InvalidSuiteError, NotComputedError, UnknownNameError
from echelon.scorer.instruments import Entry, Instruments, Listing
from echelon.scorer.metrics.metric import InvalidAnswer, Metric
from echelon.scorer.metrics.registry import metric

EMBEDDING_ROLES = ("clip", "dino", "clap", "viclip", "inception", "video_features", "audio_features")
JUDGE_ROLES = ("musiq", "aesthetic", "dynamic_degree", "success", "motion_smoothness")
GIVEN = Entry("given", {"name": "net", "digest": "1234"})
ALL_GIVEN = Listing(dict.fromkeys(EMBEDDING_ROLES, GIVEN), dict.fromkeys(JUDGE_ROLES, GIVEN))


def network(op: str, shape: list[int], **attributes: Any) -> bytes:
    """An ONNX file with one operator, from `x` to `y`."""
    out = [] if op == "ReduceMean" else shape
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *out])],
    )
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10
    ).SerializeToString()
    return data


PIXELS = {"part": "image", "steps": [{"resize": [2, 2]}, {"channels": 3}, {"scale": 1 / 255}]}
LETTERS = {
    "part": "text",
    "steps": [{"tokenize": {"by": "byte", "length": 12}}, {"reshape": [2, 2, 3]}, {"cast": "float32"}],
}
VECTOR = {"kind": "tensor", "from": ["y"]}


def folder_of(folder: Path, files: dict[str, bytes], *routes: dict[str, Any]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.onnx").write_bytes(data)
    networks = {name: {"file": f"{name}.onnx"} for name in files}
    described = [{"call": "comprehend", **route} for route in routes]
    # JSON is YAML.
    (folder / "model.yaml").write_text(json.dumps({"version": "1", "networks": networks, "routes": described}))
    return folder


@pytest.fixture
def instruments_file(tmp_path: Path) -> Path:
    """Names an embedder of pictures and texts, whose vectors are their twelve values, and a judge of brightness."""
    same, mean = network("Identity", [2, 2, 3]), network("ReduceMean", [2, 2, 3], axes=[1, 2, 3], keepdims=0)
    routes = [{"network": "same", "inputs": {"x": taken}, "output": VECTOR} for taken in (PIXELS, LETTERS)]
    folder_of(tmp_path / "toy-clip", {"same": same}, *routes)
    bright = {"network": "mean", "inputs": {"x": PIXELS}, "output": {"kind": "number", "from": ["y"], "scale": 100}}
    folder_of(tmp_path / "bright", {"mean": mean}, bright)
    listing = {
        "embedders": {role: {"plugin": "onnx", "settings": {"folder": "toy-clip"}} for role in EMBEDDING_ROLES},
        "judges": {"musiq": {"plugin": "onnx", "settings": {"folder": "bright"}}},
    }
    path = tmp_path / "instruments.yaml"
    path.write_text(json.dumps(listing))
    return path


def vector(*values: float) -> Tensor:
    return Tensor.from_array(np.array(values))


def given(name: str, **more: Any) -> Metric:
    """The metric with instruments that take what they should give."""
    return metric(name, instruments=Instruments(ALL_GIVEN), **more)


def alone(of: Metric, prediction: Part, *references: Part) -> float:
    return of.finish([of.sample(prediction, references)])


IMAGES = [vector(1, 2, 3), vector(0, 1, 0)]
TEXTS = [vector(2, 1, 0), vector(0, 2, 1)]


@pytest.mark.parametrize("name", ["clip_score", "clip_image_score", "clip_style", "clap", "style_clap"])
def test_likeness_is_the_cosine_that_three_libraries_agree_on(name: str) -> None:
    of = given(name)
    rows = [of.sample(image, [text]) for image, text in zip(IMAGES, TEXTS, strict=True)]
    assert 100 * of.finish(rows) == pytest.approx(68.62593173668367, rel=1e-12)


def test_a_cosine_below_0_counts_0() -> None:
    assert alone(given("clip_score"), vector(1, 0), vector(-1, 0.1)) == 0


def test_the_rows_of_a_matrix_are_frames() -> None:
    frames = Tensor.from_array(np.array([[1.0, 0], [0, 1], [1, 1]]))
    assert alone(given("clip_score"), frames, vector(1, 0)) == pytest.approx((1 + math.sqrt(0.5)) / 3)
    # To the first frame 0 and the root of a half, to the one before 0 and the same.
    assert alone(given("dino_score"), frames, vector(1, 0)) == pytest.approx(math.sqrt(0.5) / 2)
    assert alone(given("clip_consistency"), Tensor.from_array(np.ones((4, 2))), vector(1, 0)) == pytest.approx(1)
    wanted = Tensor.from_array(np.array([[1.0, 0.1], [0, 1]]))
    assert alone(given("frame_accuracy"), frames, wanted) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("name", "full"), [("musiq", 100), ("aesthetic", 10), ("optical_flow", 1)])
def test_a_mark_counts_by_the_full_one(name: str, full: float) -> None:
    assert alone(given(name), Number(full / 4), Text("")) == 0.25


def test_success_is_a_mark_of_a_half() -> None:
    of = given("success_rate")
    assert of.finish([of.sample(Number(mark), [Text("a dog")]) for mark in (0.2, 0.5, 0.9, 1.0)]) == 0.75


def test_a_mark_that_cannot_be_is_the_judges_fault() -> None:
    with pytest.raises(NotComputedError, match="net gave the mark 101, which must lie between 0 and 100"):
        alone(given("musiq"), Number(101), Text(""))


def test_ids_name_instrument_and_digest() -> None:
    assert given("clip_score").id == "clip_score@1;negative=0;vectors=all-pairs;clip=net:1234"
    assert given("fid", worst=300).id.endswith(";inception=net:1234;worst=300")
    assert given("musiq").id.endswith(";musiq=net:1234")
    assert given("i2v").id.count("=net:1234") == 4


@pytest.mark.parametrize(
    ("name", "prediction", "reference", "reason"),
    [
        ("clip_score", Text("no tensor"), vector(1, 2), "given as tensors, this is text"),
        ("clip_score", vector(0, 0), vector(1, 2), "no direction"),
        ("clip_score", vector(1, math.nan), vector(1, 2), "finite"),
        ("clip_score", vector(1, 2, 3), vector(1, 2), "3 elements, 2 are wanted"),
        ("dino_score", vector(1, 2), vector(1, 2), "one frame"),
        ("fid", vector(1, 2, 3), vector(1, 2), "3 elements, 2 are wanted"),
        ("musiq", vector(1, 2), Text(""), "given as numbers"),
        ("musiq", Number(math.inf), Text(""), "finite"),
    ],
)
def test_an_impossible_answer_is_invalid_and_says_why(
    name: str, prediction: Part, reference: Part, reason: str
) -> None:
    with pytest.raises(InvalidAnswer, match=reason):
        given(name, worst=100.0).sample(prediction, [reference])


@pytest.mark.parametrize("name", ["clip_score", "fid", "frame_accuracy"])
def test_an_impossible_reference_is_the_suites_fault(name: str) -> None:
    with pytest.raises(InvalidSuiteError, match="a reference cannot be used"):
        given(name, worst=100.0).sample(vector(1, 2), [Number(1)])


PROMPTED = {
    "clap": (vector, vector),
    "clip_consistency": (None, vector),
    "clip_image_score": (vector, vector),
    "clip_score": (vector, vector),
    "clip_style": (vector, vector),
    "dino_score": (None, vector),
    "fad": (vector, vector),
    "fid": (vector, vector),
    "frame_accuracy": (None, None),
    "fvd": (vector, vector),
    "style_clap": (vector, vector),
}


def drawn(name: str) -> list[tuple[Part, list[Part]]]:
    random = np.random.default_rng(3)

    def part(one: Any) -> Part:
        return Tensor.from_array(random.normal(size=(2, 4) if one is None else 4))

    return [(part(PROMPTED[name][0]), [part(PROMPTED[name][1])]) for _ in range(12)]


@pytest.mark.parametrize("name", sorted(PROMPTED))
def test_order_changes_no_bit_and_failing_never_pays(name: str) -> None:
    of = given(name, worst=50.0)
    sign = 1 if of.higher_is_better else -1
    rows = [of.sample(*sample) for sample in drawn(name)]
    assert len({of.finish(Random(seed).sample(rows, len(rows))) for seed in range(20)}) == 1
    for at, (_, references) in enumerate(drawn(name)):
        failed = of.finish([*rows[:at], of.worst(references), *rows[at + 1 :]])
        assert sign * failed <= sign * of.finish(rows)


def test_the_network_of_a_folder_embeds_pictures_and_prompts(instruments_file: Path) -> None:
    of = metric("clip_image_score", instruments=Instruments.read(instruments_file))
    black, white, red = (
        Image.from_array(np.broadcast_to(np.array(colour, np.uint8), (4, 4, 3)).copy())
        for colour in ((1, 1, 1), (255, 255, 255), (255, 0, 0))
    )
    assert alone(of, black, white) == pytest.approx(1)
    assert alone(of, red, white) == pytest.approx(math.sqrt(1 / 3))
    assert ";clip=toy-clip:" in of.id
    assert len(of.id.rpartition(":")[2]) == 64
    frames = Video.from_array(np.stack([black.array(), red.array()]), frames_per_second=5)
    assert alone(of, frames, white) == pytest.approx((1 + math.sqrt(1 / 3)) / 2)
    prompted = metric("clip_score", instruments=Instruments.read(instruments_file))
    assert 0 < alone(prompted, white, Text("a white wall")) < 1
    translated = metric("frame_accuracy", instruments=Instruments.read(instruments_file))
    prompts = {"target": "~~~~~~~~~~~~", "source": "~  "}  # twelve letters alike are as white is
    assert alone(translated, Video.from_array(white.array()[None], frames_per_second=5), Json(json.dumps(prompts))) == 1


def test_the_network_of_a_folder_judges(instruments_file: Path) -> None:
    of = metric("musiq", instruments=Instruments.read(instruments_file))
    frames = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 51)])
    assert alone(of, Video.from_array(frames, frames_per_second=5), Text("")) == pytest.approx(0.1)


READ_ROUTES: dict[str, dict[str, Any]] = {
    "transcript": {
        "inputs": {"x": {"part": "audio", "steps": [{"mono": True}, {"length": 12}, {"reshape": [4, 3]}]}},
        "output": {"kind": "text", "from": ["y"], "tokens": {"by": "word", "vocabulary": "words.txt"}},
    },
    "series": {
        "inputs": {"x": {"part": "audio", "steps": [{"mono": True}, {"length": 12}, {"reshape": [4, 3]}]}},
        "output": VECTOR,
    },
    "class": {
        "inputs": {
            "x": {"part": "image", "steps": [{"resize": [2, 2]}, {"channels": 3}, {"layout": "chw"}, {"scale": 1.0}]}
        },
        "output": {"kind": "choice", "from": ["y"], "labels": ["Red", "Green", "Blue"]},
    },
}


@pytest.fixture
def reading(tmp_path: Path) -> Instruments:
    """Readers whose networks take a sound for scores of words, or for a series, and pictures for their colour."""
    same = network("Identity", [4, 3])
    brightest = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        "colour",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    colour = helper.make_model(brightest, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    files = {"transcript": same, "series": same, "class": colour.SerializeToString()}
    for role, data in files.items():
        folder = folder_of(tmp_path / role, {"net": data}, {"network": "net", **READ_ROUTES[role]})
        if role == "transcript":
            (folder / "words.txt").write_text("hey")
    listing = {"readers": {role: {"plugin": "onnx", "settings": {"folder": role}} for role in files}}
    (tmp_path / "readers.yaml").write_text(json.dumps(listing))
    return Instruments.read(tmp_path / "readers.yaml")


def test_the_network_of_a_folder_writes_down_what_it_hears(reading: Instruments) -> None:
    of = metric("wer_speech", instruments=reading)
    # A row of scores for each token: the end, an unknown word, "hey"; the third row ends the text.
    scores = np.array([[0, 0, 0.5], [0, 0, 0.5], [0.5, 0, 0], [0, 0, 0.5]])
    sound = Audio.from_array(scores.reshape(-1), 8000)
    assert of.sample(sound, [Text("hey hey you")]) == (1.0, 3.0)
    assert re.search(r";transcript=transcript:[0-9a-f]{64}$", of.id)


def test_the_network_of_a_folder_names_what_it_sees(reading: Instruments) -> None:
    of = metric("accuracy_read", instruments=reading)
    shown = [np.full((4, 4, 3), colour, np.uint8) for colour in ((200, 10, 10), (10, 200, 10), (10, 10, 200))]
    wanted = ("red", "green", "violet")
    rows = [of.sample(Image.from_array(each), [Choice.of(said)]) for each, said in zip(shown, wanted, strict=True)]
    assert of.finish(rows) == pytest.approx(2 / 3)


def test_the_network_of_a_folder_gives_the_series_of_a_sound(reading: Instruments) -> None:
    of = metric("pcc_read", instruments=reading)
    samples = np.linspace(-0.5, 0.5, 12)
    assert alone(of, Audio.from_array(samples, 8000), Tensor.from_array(np.arange(12.0))) == pytest.approx(1)
    with pytest.raises(NotComputedError, match="series takes audio, not image"):
        reading.reader("series").read(Image.from_array(np.zeros((2, 2), np.uint8)))


def test_a_network_that_says_something_else_than_the_metric_compares_computes_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path / "net", {"net": network("Identity", [4, 3])}, {"network": "net", **READ_ROUTES["series"]})
    listing = Listing(readers={"transcript": Entry("onnx", {"folder": str(tmp_path / "net")})})
    with pytest.raises(NotComputedError, match="net reads tensor from audio, wer_speech compares text"):
        metric("wer_speech", instruments=Instruments(listing)).sample(
            Audio.from_array(np.zeros(12), 8000), [Text("hey")]
        )


def test_an_embedder_that_cannot_take_a_kind_computes_nothing(instruments_file: Path) -> None:
    of = metric("clap", instruments=Instruments.read(instruments_file))
    with pytest.raises(NotComputedError, match="toy-clip takes text or image, not audio"):
        of.sample(Audio.from_array(np.zeros(10), 8000), [Text("silence")])


@pytest.mark.parametrize("name", ["clip_score", "fid", "musiq", "i2v", "success_rate"])
def test_without_an_instrument_nothing_is_computed_and_the_reason_says_what_is_missing(name: str) -> None:
    of = metric(name, worst=300)
    with pytest.raises(NotComputedError, match=r"there is no (embedder|judge) for '\w+'.*--instruments"):
        _ = of.id


@pytest.mark.parametrize(
    ("listing", "error", "reason"),
    [
        ({"embedders": {"clip": {"plugin": "onyx"}}}, UnknownNameError, "did you mean 'onnx'"),
        ({"embedders": {"clip": {"plugin": "onnx"}}}, SettingsError, "embedder 'clip': 'folder' is required"),
        ({"embedders": {"clip": {"plugin": "onnx", "settings": {"folder": "gone"}}}}, SettingsError, "no model folder"),
        ({"embedders": {"clip": {"plugin": "given", "settings": {"name": "", "digest": ""}}}}, SettingsError, "name"),
        ({"embeders": {}}, SettingsError, "did you mean 'embedders'"),
    ],
)
def test_a_faulty_file_is_told_by_its_place(
    tmp_path: Path, listing: dict[str, Any], error: type[Exception], reason: str
) -> None:
    (tmp_path / "faulty.yaml").write_text(json.dumps(listing))
    with pytest.raises(error, match=reason):
        Instruments.read(tmp_path / "faulty.yaml").embedder("clip")


PLUG_IN = """
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Length:
    factor: float = 1.0

class Longest:
    settings_type = Length
    name, digest = "longest", "none"

    def __init__(self, settings):
        self.factor = settings.factor

    def embed(self, parts):
        if any(not part.value for part in parts):
            raise RuntimeError("nothing to measure")
        return np.array([[self.factor * len(part.value), 1.0] for part in parts])
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a distribution that declares an embedder."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "longest_embedder.py").write_text(PLUG_IN)

    def declare(name: str, value: str) -> None:
        info = tmp_path / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[echelon.embedders]\n{name} = {value}\n")

    return declare


def test_an_embedder_of_another_distribution_is_found_by_its_entry_point(install: Callable[[str, str], None]) -> None:
    install("longest", "longest_embedder:Longest")
    instruments = Instruments(Listing({"clip": Entry("longest", {"factor": 0.5})}))
    of = metric("clip_score", instruments=instruments)
    assert alone(of, Text("ab"), Text("ab")) == pytest.approx(1)
    assert of.id.endswith(";clip=longest:none")
    with pytest.raises(NotComputedError, match="longest failed: nothing to measure"):
        of.sample(Text(""), [Text("a")])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("given", "longest_embedder:Longest", "declared more than once: echelon, given-plugin"),
        ("broken", "longest_embedder:Missing", "failed to import"),
        ("broken", "longest_embedder:np", "has no settings_type"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_refused_by_name(
    install: Callable[[str, str], None], name: str, value: str, reason: str
) -> None:
    install(name, value)
    with pytest.raises(AdapterLoadError, match=reason):
        Instruments(Listing({"clip": Entry(name)})).embedder("clip")


MANIFEST = """
name: pictures
version: "1"
tasks:
  - {id: draw, title: Draw, modality: image, paradigm: generation, skill: drawing, instruction: "Draw {what}",
     output: image, extractor: image, metric: clip_score, chance: 0.0, samples: draw.jsonl}
  - {id: words, title: Words, modality: language, paradigm: language, skill: reading, instruction: "Say {what}",
     output: text, extractor: text, metric: wer, chance: 1.0, samples: words.jsonl}
"""


def make_suite(folder: Path) -> Path:
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    for task in ("draw", "words"):
        lines = [
            {"id": str(n), "fields": {"what": what}, "parts": [], "reference": {"kind": "text", "value": what}}
            for n, what in enumerate(("a dog", "a house", "the sea"))
        ]
        (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def echelon(*arguments: str | Path) -> str:
    ended = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    assert ended.exit_code in (0, 3), ended.output
    return ended.output


def test_a_task_without_its_embedder_is_not_computed_and_touches_no_other(
    tmp_path: Path, processes: Any, instruments_file: Path
) -> None:
    suite, store = make_suite(tmp_path / "suite"), tmp_path / "runs"
    assert "is in order" in echelon("suites", "validate", suite)
    _, address = processes("--model", "null=null")
    said = echelon("run", suite, "--model", f"{address}/null", "--store", store, "--quiet")
    assert "not computed" in said
    found = json.loads(echelon("report", "--store", store, "--json"))
    draw, words = found["tasks"]
    assert draw["score"] is None
    assert "there is no embedder for 'clip'" in draw["not_computed"]
    assert not any(draw["sigmas"].values())
    assert words["score"] is not None
    page = Path(echelon("report", "--store", store).strip()).read_text()
    assert "there is no embedder for 'clip'" in unescape(page)

    again = json.loads(echelon("report", "--store", store, "--json", "--instruments", instruments_file))
    assert 0 <= again["tasks"][0]["score"] <= 1
    assert "toy-clip:" in again["tasks"][0]["metric"]
    assert again["tasks"][1] == words


def test_references_that_are_no_answers_are_no_fault_of_a_suite() -> None:
    assert not given("clip_score").references_are_answers
    assert given("clip_score").takes(Kind.IMAGE)
    assert given("clip_score").takes(Kind.TENSOR)
    assert not given("clip_score").takes(Kind.TEXT)


def test_a_reference_run_is_measured_with_the_instruments_that_are_given_later(
    tmp_path: Path, processes: Any, instruments_file: Path
) -> None:
    suite, store = make_suite(tmp_path / "suite"), tmp_path / "runs"
    _, address = processes("--model", "chance=chance")
    begin = ("run", suite, "--model", f"{address}/chance", "--quiet")

    def shown(*arguments: str | Path) -> dict[str, Any]:
        return json.loads(echelon(*arguments, "--store", store, "--json"))  # type: ignore[no-any-return]  # of JSON

    reference = shown(*begin, "--seed", "1")["run"]
    run = shown(*begin, "--sota", reference)
    assert run["tasks"][0]["sota"] is None
    assert shown("report")["tasks"][0]["sota"] is None

    later = shown("report", "--instruments", instruments_file)["tasks"]
    theirs = shown("report", reference, "--instruments", instruments_file)["tasks"]
    assert later[0]["sota"]["score"] == theirs[0]["score"] > 0
    assert reference[:12] in later[0]["sota"]["source"]
    assert later[0]["verdict"]["sota"] is not None
    assert [task["sota"] for task in later[1:]] == [task["sota"] for task in run["tasks"][1:]]

    # The stored sota is of one embedder; with another one given, the reference run is measured with that.
    shown(*begin, "--sota", reference, "--instruments", instruments_file)
    renamed = {"plugin": "onnx", "settings": {"folder": str(tmp_path / "toy-clip"), "name": "other"}}
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps({"embedders": {"clip": renamed}}))
    again = shown("report", "--instruments", other)["tasks"][0]
    assert "clip=other:" in again["metric"]
    assert again["sota"]["score"] == theirs[0]["score"]


WAITING = """
name: waiting
version: "1"
tasks:
  - {id: draw, title: Draw, modality: image, paradigm: generation, skill: drawing, instruction: "Draw {what}",
     output: image, extractor: image, metric: fid, worst: 200, chance: 200, samples: samples.jsonl}
  - {id: sing, title: Sing, modality: audio, paradigm: generation, skill: singing, instruction: "Sing {what}",
     output: audio, extractor: audio, metric: fad, worst: 200, chance: 200, samples: samples.jsonl}
  - {id: say, title: Say, modality: audio, paradigm: generation, skill: speech, instruction: "Say {what}",
     output: audio, extractor: audio, metric: wer_speech, chance: 1.0, samples: samples.jsonl}
"""


def test_a_metric_that_waits_for_its_instrument_keeps_its_direction_and_its_chance_is_unknown(
    tmp_path: Path, processes: Any
) -> None:
    suite, store = make_suite(tmp_path / "suite"), tmp_path / "runs"
    (suite / "suite.yaml").write_text(WAITING)
    (suite / "draw.jsonl").rename(suite / "samples.jsonl")
    (suite / "words.jsonl").unlink()
    _, address = processes("--model", "null=null")
    text = echelon("run", suite, "--model", f"{address}/null", "--store", store, "--quiet")
    for name in ("fid", "fad", "wer_speech"):
        assert f"{name} ↓" in text
        assert f"{name} ↑" not in text
    tasks = json.loads(echelon("report", "--store", store, "--json"))["tasks"]
    assert [(task["higher_is_better"], task["unit"]) for task in tasks] == [
        (False, ""),
        (False, ""),
        (False, "fraction"),
    ]
    assert all(task["not_computed"] for task in tasks)
    page = Path(echelon("report", "--store", store).strip()).read_text()
    assert [task["chance"] for task in tasks] == [None] * 3
    bullets = re.findall(r'class="bullet not-computed".*?</svg>', page)
    assert len(bullets) == len(tasks)
    assert all("chance unknown" in each and 'class="chance"' not in each for each in bullets)
