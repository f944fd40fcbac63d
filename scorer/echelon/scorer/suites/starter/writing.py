"""Writes tasks and examples as a suite folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from echelon.adapters import Audio, Boxes, Choice, Image, Kind, Mask, Number, Part, PointCloud, Text, Video
from echelon.scorer.suites.starter.example import Example
from echelon.scorer.suites.suite import Task


class SuiteWriter:
    """A suite folder in the making; media of a part lie at `media/<task>/<sample>-<place>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "media").mkdir(parents=True, exist_ok=True)

    def manifest(self, head: dict[str, str], tasks: Iterable[Task]) -> None:
        """Write suite.yaml."""
        import yaml

        text = yaml.safe_dump({**head, "tasks": [_entry(task) for task in tasks]}, sort_keys=False, allow_unicode=True)
        (self._folder / "suite.yaml").write_text(text, encoding="utf-8")

    def samples(self, task: Task, examples: Iterable[tuple[str, Example]]) -> None:
        """Write one task's samples, given as (id, example), and their media."""
        (self._folder / "media" / task.id).mkdir(exist_ok=True)
        with (self._folder / f"{task.id}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            for sample_id, example in examples:
                file.write(json.dumps(self._line(f"media/{task.id}/{sample_id}", sample_id, example)) + "\n")

    def _line(self, stem: str, sample_id: str, example: Example) -> dict[str, Any]:
        line: dict[str, Any] = {
            "id": sample_id,
            "parts": [self._part(part, f"{stem}-{place}") for place, part in enumerate(example.parts)],
            "reference": self._part(example.reference, f"{stem}-reference"),
        }
        if example.fields:
            line["fields"] = dict(example.fields)
        if example.cluster:
            line["cluster"] = example.cluster
        return line

    def _part(self, part: Part, stem: str) -> dict[str, Any]:
        fields = _FIELDS[part.kind](self, part, stem)
        return {"kind": part.kind.value, **fields}

    def media(self, path: str, data: bytes) -> str:
        """Write a media file and give back its path."""
        (self._folder / path).write_bytes(data)
        return path


def _entry(task: Task) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": task.id,
        "title": task.title,
        "modality": task.modality.value,
        "paradigm": task.paradigm.value,
        "skill": task.skill,
        "instruction": task.instruction,
        "instruction_version": task.instruction_version,
        "output": _one_or_list([kind.value for kind in task.output]),
        "extractor": task.extractor,
        "metric": task.metric,
        "chance": task.chance,
        "samples": f"{task.id}.jsonl",
    }
    if task.labels:
        entry["labels"] = list(task.labels)
    if task.worst is not None:
        entry["worst"] = task.worst
    return entry


def _one_or_list(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _text(writer: SuiteWriter, part: Text, stem: str) -> dict[str, Any]:
    return {"value": part.value}


def _number(writer: SuiteWriter, part: Number, stem: str) -> dict[str, Any]:
    return {"value": part.value}


def _choice(writer: SuiteWriter, part: Choice, stem: str) -> dict[str, Any]:
    return {"labels": [scored.label for scored in part.labels]}


def _image(writer: SuiteWriter, part: Image, stem: str) -> dict[str, Any]:
    return {"path": writer.media(f"{stem}.png", part.data)}


def _audio(writer: SuiteWriter, part: Audio, stem: str) -> dict[str, Any]:
    return {"path": writer.media(f"{stem}.wav", part.data)}


def _video(writer: SuiteWriter, part: Video, stem: str) -> dict[str, Any]:
    frames = [writer.media(f"{stem}-{place}.png", frame.image.data) for place, frame in enumerate(part.frames)]
    seconds = part.frames[-1].time_us / 1_000_000
    return {"frames": frames, "frames_per_second": (len(frames) - 1) / seconds}


def _points(writer: SuiteWriter, part: PointCloud, stem: str) -> dict[str, Any]:
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, part.array(), allow_pickle=False)
    return {"path": writer.media(f"{stem}.npy", file.getvalue())}


def _mask(writer: SuiteWriter, part: Mask, stem: str) -> dict[str, Any]:
    return {"path": writer.media(f"{stem}.png", part.png), "labels": list(part.labels)}


def _boxes(writer: SuiteWriter, part: Boxes, stem: str) -> dict[str, Any]:
    sides = ("x_min", "y_min", "x_max", "y_max", "label")
    return {
        "boxes": [{side: getattr(box, side) for side in sides} for box in part.boxes],
        "space": part.space.value,
    }


_FIELDS: dict[Kind, Callable[[SuiteWriter, Any, str], dict[str, Any]]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.VIDEO: _video,
    Kind.POINT_CLOUD: _points,
    Kind.MASK: _mask,
    Kind.BOXES: _boxes,
}
"""How each kind stands in a sample's line."""
