"""Turns a network into a model folder: one ONNX file for each branch, and model.yaml."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from networks import TEXT_LENGTH, WORDS, Network
from onnx import TensorProto, helper, numpy_helper
from problems import Problem
from torch import Tensor, nn

from echelon.scorer.suites.starter.audio import NOTES, RATE_HZ
from echelon.scorer.suites.starter.video import FRAMES_PER_SECOND

OPSET = 17
SMALL = 256
"""Weights with no more elements stay as they are; larger ones are stored as float16."""

CONTENT: dict[str, tuple[str, Tensor, dict[str, Any]]] = {
    "image": (
        "pixels",
        torch.zeros(2, 1, 32, 32),
        {"part": "image", "steps": [{"resize": [32, 32]}, {"channels": 1}, {"scale": 1 / 255}, {"layout": "chw"}]},
    ),
    "video": (
        "frames",
        torch.zeros(2, 6, 16, 16),
        {
            "part": "video",
            "steps": [
                {"frames": 6},
                {"resize": [16, 16]},
                {"channels": 1},
                {"scale": 1 / 255},
                {"reshape": [6, 16, 16]},
            ],
        },
    ),
    "audio": (
        "sound",
        torch.zeros(2, 2560),
        {"part": "audio", "steps": [{"mono": True}, {"resample": RATE_HZ}, {"length": 2560}]},
    ),
    "points": ("points_in", torch.zeros(2, 128, 3), {"part": "point_cloud", "steps": [{"points": 128}]}),
    "words": (
        "text_in",
        torch.zeros(2, TEXT_LENGTH, dtype=torch.int64),
        {"part": "text", "steps": [{"tokenize": {"by": "word", "vocabulary": "words.txt", "length": TEXT_LENGTH}}]},
    ),
    "bytes": (
        "text_in",
        torch.zeros(2, TEXT_LENGTH, dtype=torch.int64),
        {"part": "text", "steps": [{"tokenize": {"by": "byte", "length": TEXT_LENGTH}}]},
    ),
}
"""For each branch: the name of its input, an input to trace with, and how model.yaml fills it."""

INSTRUCTION = {
    "part": "instruction",
    "steps": [{"tokenize": {"by": "word", "vocabulary": "words.txt", "length": WORDS}}],
}

BOUNDS = {"image": (0.0, 1.0), "video": (0.0, 1.0), "audio": (-1.0, 1.0)}


class Graph(nn.Module):
    """One branch of a network, as it is shipped."""

    def __init__(self, network: Network, branch: str) -> None:
        super().__init__()
        self.reader, self.branch = network.reader, network.branches[branch]

    def forward(self, words: Tensor, *content: Tensor) -> tuple[Tensor, ...]:
        answers = self.branch(*content, self.reader(words))
        return tuple(
            answer.clamp(*BOUNDS[name]) if name in BOUNDS else answer for name, answer in sorted(answers.items())
        )


def export(
    network: Network, problems: list[Problem], vocabulary: dict[str, int], folder: Path, *, description: str
) -> None:
    """Write the model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    branches = list(dict.fromkeys(problem.branch for problem in problems))
    for branch in branches:
        _write_graph(network, branch, folder / f"{branch}.onnx")
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in vocabulary))
    if any(problem.id == "audio-notes" for problem in problems):
        (folder / "notes.txt").write_text("".join(f"{note}\n" for note in NOTES))
    model = {
        "version": "1",
        "description": description,
        "composition": "single",
        "deterministic": True,
        "precision": "float32",
        **({"frame_sampling": "6 frames, uniform"} if "video" in branches else {}),
        "networks": {branch: {"file": f"{branch}.onnx"} for branch in branches},
        # A drawing takes no part, so its route would fit every call that wants an image: it comes last.
        "routes": _unique([_route(problem) for problem in sorted(problems, key=lambda p: p.branch == "drawing")]),
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(model, sort_keys=False))


def digest(folder: Path) -> str:
    """SHA-256 over the sorted lines `name sha256` of a model folder's files."""
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sorted(folder.iterdir())]
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _unique(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [route for place, route in enumerate(routes) if route not in routes[:place]]


def _route(problem: Problem) -> dict[str, Any]:
    inputs: dict[str, Any] = {"words": INSTRUCTION}
    if problem.branch in CONTENT:
        name, _, filled = CONTENT[problem.branch]
        inputs[name] = filled
    return {
        "call": problem.starter.task.call.value,
        "network": problem.branch,
        "inputs": inputs,
        "output": {"kind": problem.starter.task.output[0].value, **_output(problem)},
    }


def _output(problem: Problem) -> dict[str, Any]:
    labels = list(problem.starter.task.labels)
    if problem.branch == "bytes":
        return {"from": ["text"], "tokens": {"by": "byte"}}
    options: dict[str, dict[str, Any]] = {
        "label": {"labels": labels},
        "number": {"scale": 1000},
        "mask": {"labels": labels},
        "image": {"layout": "chw"},
        "video": {"layout": "fchw", "frames_per_second": FRAMES_PER_SECOND},
        "audio": {"sample_rate_hz": RATE_HZ},
        "points": {},
        "text": {"tokens": {"by": "word", "vocabulary": "notes.txt"}},
        "boxes": {"from": ["boxes", "scores"], "labels": labels, "threshold": 0.05, "nms": 0.5, "space": "pixel"},
    }
    return {"from": [problem.head], **options[problem.head]}


def _write_graph(network: Network, branch: str, path: Path) -> None:
    graph = Graph(network, branch).eval()
    words = torch.zeros(2, WORDS, dtype=torch.int64)
    inputs: tuple[Tensor, ...] = (words,)
    names = ["words"]
    if branch in CONTENT:
        inputs, names = (words, CONTENT[branch][1]), ["words", CONTENT[branch][0]]
    with torch.no_grad():
        answers = network.branches[branch](*inputs[1:], network.reader(words))
    outputs = sorted(answers)
    with warnings.catch_warnings():
        # The older exporter is the one that needs nothing but onnx; it says so with every call.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            inputs,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
        )
    model = onnx.load(path)
    _halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _halve(model: onnx.ModelProto) -> None:
    """Store large weights as float16 and cast them back first."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) <= SMALL:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
