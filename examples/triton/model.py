"""Runs one ONNX network in Triton's Python backend, each request by itself, so that its answers stay the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import triton_python_backend_utils as pb


class TritonPythonModel:
    """The model of the folder that this file lies in."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        self.session = onnxruntime.InferenceSession(
            Path(args["model_repository"]) / args["model_version"] / "model.onnx",
            options,
            providers=["CPUExecutionProvider"],
        )
        self.inputs = [port.name for port in self.session.get_inputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer for each request."""
        return [self.answer(request) for request in requests]

    def answer(self, request: Any) -> Any:
        """Only those outputs that the request names are computed."""
        feeds = {name: pb.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
        wanted = request.requested_output_names()
        results = self.session.run(wanted, feeds)
        return pb.InferenceResponse([pb.Tensor(name, values) for name, values in zip(wanted, results, strict=True)])
