"""The MLP in Triton's Python backend: what the dynamic batcher hands over runs as one batch."""

from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(args["model_repository"]) / args["model_version"] / "mlp.onnx"
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        given = [pb.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        (made,) = self.session.run(["y"], {"x": np.concatenate(given)})
        parts = np.split(made, np.cumsum([len(values) for values in given])[:-1])
        return [pb.InferenceResponse([pb.Tensor("y", values)]) for values in parts]
