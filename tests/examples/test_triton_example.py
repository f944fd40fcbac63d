"""examples/triton, followed to its end: the same answers and the same level from both backends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_triton import RealTriton

EXAMPLE = Path(__file__).parents[2] / "examples" / "triton"


def nearly(digits: str) -> Any:
    """A number as Triton's ONNX Runtime has it, which may be of another version than ours and round otherwise."""
    return pytest.approx(float(digits), rel=1e-5)


def echelon(*command: str | Path, number: Callable[[str], Any] = float) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "echelon.cli", *command, "--json"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout, parse_float=number)


def scores(report: Any) -> dict[str, Any]:
    return {task["id"]: (task["score"], task["sigmas"]) for task in report["tasks"]}


def test_the_level_is_the_same_from_both_backends(processes: Callable[..., Any], tmp_path: Path) -> None:
    triton = RealTriton(tmp_path / "repository", tmp_path)
    exporting: list[str | Path] = [sys.executable, EXAMPLE / "export.py", "generalist-both"]
    subprocess.run([*exporting, tmp_path, "--url", triton.url], check=True, capture_output=True)
    (tmp_path / "baseline.yaml").write_text("model: generalist-both\n")
    triton.start()
    try:
        models = (f"onnx=baseline:{tmp_path / 'baseline.yaml'}", f"triton=triton:{tmp_path / 'triton.yaml'}")
        _, address = processes(*(word for model in models for word in ("--model", model)))
        store = ("--store", tmp_path / "runs", "--samples", "6", "--quiet")
        ours = echelon("run", "starter", "--model", f"{address}/onnx", *store)
        theirs = echelon("run", "starter", "--model", f"{address}/triton", *store, number=nearly)
    finally:
        triton.stop()
    assert len(scores(ours)) == 16
    assert scores(ours) == scores(theirs)
    assert ours["levels"] == theirs["levels"]
