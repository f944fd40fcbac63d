"""One network in ONNX Runtime: loaded from bytes, on the best provider there is."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import ConfigurationError, MissingExtraError, OutOfMemoryError, SettingsError
from echelon.adapters.networks.network import Port
from echelon.adapters.onnx.external import locations
from echelon.adapters.settings import NO_IDENTITY, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.networks.files import Folder

log = logging.getLogger(__name__)

DEVICES = {
    "TensorrtExecutionProvider": "cuda:0 with TensorRT",
    "CUDAExecutionProvider": "cuda:0",
    "CPUExecutionProvider": "cpu",
}
"""What a card calls the providers that we prefer by ourselves, best first."""

DATA_TYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How networks run: execution providers in order of preference, and threads."""

    providers: tuple[str, ...] = tuple(DEVICES)
    intra_op_threads: int = 1
    inter_op_threads: int = 1
    allow_spinning: bool = field(default=False, metadata=NO_IDENTITY)
    memory_gib: float | None = field(default=None, metadata=NO_IDENTITY)
    """What a session may take of the GPU's memory."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What a manifest says of a network: the name of its file."""

    file: str


class OnnxEngine:
    """Opens ONNX files."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def name(self) -> str:
        """The runtime and its version."""
        return f"onnxruntime {import_onnxruntime().__version__}"

    def network(self, folder: Folder, entry: dict[str, Any], where: str, *, deterministic: bool) -> Session:
        """The network in the file that the entry names."""
        file = load(NetworkFile, entry, where=where).file
        return Session(folder, file, self._runtime, deterministic=deterministic)


class Session:
    """Runs one network."""

    def __init__(self, folder: Folder, file: str, runtime: Runtime, *, deterministic: bool) -> None:
        ort = import_onnxruntime()
        where = f"{folder.path}: {file!r}"
        model = folder.read(file)
        self._external = _external(folder, model, where)
        options = _options(ort, folder, runtime, self._external)
        options.use_deterministic_compute = deterministic
        available = _available(ort, runtime.providers)
        self._session = _load(ort, model, options, _limited(available, runtime.memory_gib), where)
        self._external = {}  # needed only while the session loads
        provider: str = self._session.get_providers()[0]
        self.device = DEVICES.get(provider, provider)
        self.inputs = {found.name: _port(found, where) for found in self._session.get_inputs()}
        self.outputs = tuple(found.name for found in self._session.get_outputs() if found.type in DATA_TYPES)
        self._bound = provider in ("CUDAExecutionProvider", "TensorrtExecutionProvider")
        _say_fallback(runtime.providers, ort.get_available_providers(), provider, where)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs for a batch of inputs; OutOfMemoryError where it does not fit."""
        try:
            return self.run_bound(outputs, feeds) if self._bound else self._session.run(outputs, feeds)
        except Exception as error:
            # Its errors share no class but this, and this one only its words.
            if "Failed to allocate memory" in str(error):
                raise OutOfMemoryError("the model's device has not enough memory for this call") from error
            raise

    def run_bound(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The same through an IO binding, which saves a copy where the network is not on the CPU."""
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_cpu_input(name, values)
        for name in outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        results: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return results


def import_onnxruntime() -> Any:
    """The module; MissingExtraError without it, ConfigurationError where two distributions write over each other."""
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if len(installed) > 1:
        raise ConfigurationError(
            f"{' and '.join(installed)} are both installed and overwrite each other; uninstall both, then install one: "
            "pip install 'echelon[onnx]' or 'echelon[onnx-gpu]'"
        )
    # Its wheels report the names of models, and hashes of their weights, to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    return onnxruntime


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _external(folder: Folder, model: bytes, where: str) -> dict[str, bytes]:
    """The files with a model's external data, read by us so that the runtime opens none."""
    try:
        wanted = locations(model)
    except ValueError as error:
        raise SettingsError(f"{where} is no ONNX file: {error}") from error
    return {name: folder.read(name) for name in sorted(wanted)}


def _options(ort: Any, folder: Folder, runtime: Runtime, external: Mapping[str, bytes]) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = runtime.intra_op_threads
    options.inter_op_num_threads = runtime.inter_op_threads
    spinning = "1" if runtime.allow_spinning else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    # A second wall: what the runtime should still want to open, it looks for here and nowhere else.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder.path))
    if external:
        sizes = [len(data) for data in external.values()]
        options.add_external_initializers_from_files_in_memory(list(external), list(external.values()), sizes)
    return options


def _available(ort: Any, preferred: tuple[str, ...]) -> list[str]:
    available = ort.get_available_providers()
    chosen = [provider for provider in preferred if provider in available]
    if not chosen:
        raise SettingsError(
            f"none of the providers {', '.join(preferred) or '(none named)'} is there; this onnxruntime has "
            f"{', '.join(available)}"
        )
    if "CUDAExecutionProvider" in chosen:
        ort.preload_dlls()
    return chosen


def _limited(providers: Sequence[str], memory_gib: float | None) -> list[Any]:
    """The providers, with the limit where they know one."""
    if memory_gib is None:
        return list(providers)
    if "CUDAExecutionProvider" not in providers:
        raise SettingsError("'memory_gib' is for GPUs, and none can be used; isolation limits what the CPU's may be")
    limits = {"CUDAExecutionProvider": {"gpu_mem_limit": int(memory_gib * 2**30)}}
    return [(provider, limits.get(provider, {})) for provider in providers]


def _load(ort: Any, model: bytes, options: Any, providers: list[Any], where: str) -> Any:
    try:
        return ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # its errors share no class but this
        raise SettingsError(f"{where} cannot be loaded: {error}") from error


def _say_fallback(preferred: Sequence[str], available: Sequence[str], used: str, where: str) -> None:
    for provider in preferred[: preferred.index(used) if used in preferred else None]:
        if provider in available:
            log.warning("%s runs on %s, because %s could not be started", where, used, provider)
        else:
            log.info("%s runs on %s; this onnxruntime has no %s", where, used, provider)


def _port(found: Any, where: str) -> Port:
    if found.type not in DATA_TYPES:
        raise SettingsError(f"{where}: its input {found.name!r} is a {found.type}, which no step can make")
    shape = tuple(length if isinstance(length, int) else None for length in found.shape)
    if not shape or shape[0] not in (None, 1):
        raise SettingsError(
            f"{where}: the first axis of its input {found.name!r} must be the batch and of any length, it has the "
            f"shape {found.shape}"
        )
    return Port(found.name, DATA_TYPES[found.type], shape)
