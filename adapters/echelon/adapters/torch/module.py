"""One PyTorch module behind a route: built, filled with its weights, and run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import OutOfMemoryError, SettingsError
from echelon.adapters.networks.network import Port
from echelon.adapters.pytorch import device_of, import_torch, is_out_of_memory, limit_memory, make_deterministic
from echelon.adapters.settings import load, nearest
from echelon.adapters.torch.graphs import Graphs
from echelon.adapters.torch.settings import ModuleEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.networks.files import Folder
    from echelon.adapters.torch.settings import TorchSettings


class TorchEngine:
    """Opens modules, all on one device."""

    def __init__(self, settings: TorchSettings) -> None:
        self._torch = import_torch("torch")
        self._settings = settings
        self._device = device_of(settings.device, self._torch)
        if settings.threads is not None:
            self._torch.set_num_threads(settings.threads)
        if settings.cuda_graphs and self._device.type != "cuda":
            raise SettingsError(f"'cuda_graphs' is for GPUs, and the device is {self._device}")
        limit_memory(settings.memory_gib, self._device, self._torch)
        known = self._torch.compiler.list_backends(exclude_tags=())
        if settings.compile is not None and settings.compile not in known:
            raise SettingsError(f"'compile' is {settings.compile!r}{nearest(settings.compile, known)}")

    @property
    def name(self) -> str:
        """The library and its version."""
        return f"torch {self._torch.__version__}"

    def network(self, folder: Folder, entry: dict[str, Any], where: str, *, deterministic: bool) -> TorchNetwork:
        """The module that the entry names, with its weights."""
        said = load(ModuleEntry, entry, where=where)
        if deterministic:
            make_deterministic(self._torch)
        module = _filled(_made(said, self._torch, where), folder, said.weights, where)
        module = module.eval().requires_grad_(requires_grad=False)
        module = module.to(self._device, getattr(self._torch, self._settings.dtype))
        return TorchNetwork(module, said, self._device, self._settings, self._torch)


class TorchNetwork:
    """Runs one module."""

    def __init__(self, module: Any, entry: ModuleEntry, device: Any, settings: TorchSettings, torch: Any) -> None:
        self.device = str(device)
        self.inputs = {name: Port(name, said.data_type, (None, *said.shape)) for name, said in entry.inputs.items()}
        self.outputs = entry.outputs
        self._torch = torch
        self._device = device
        self._dtype = getattr(torch, settings.dtype)
        self._on_gpu = device.type == "cuda"
        if settings.compile is not None:
            module = torch.compile(module, backend=settings.compile)
        self._forward = Graphs(module, torch) if settings.cuda_graphs else module

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs for a batch of inputs, floats as float32; OutOfMemoryError where it does not fit."""
        try:
            with self._torch.inference_mode():
                returned = self._forward(**{name: self._there(values) for name, values in feeds.items()})
                named = self._named(returned)
                results = [self._back(named[name]) for name in outputs]
                if self._on_gpu:
                    self._torch.cuda.current_stream(self._device).synchronize()
                return [result.numpy() for result in results]
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError("the model's device has not enough memory for this call") from error
            raise

    def _there(self, values: NDArray[Any]) -> Any:
        tensor = self._torch.from_numpy(values if values.flags.writeable else values.copy())
        if self._on_gpu:
            # From pinned memory the copy runs beside what the GPU still does.
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _back(self, tensor: Any) -> Any:
        if tensor.is_floating_point():
            tensor = tensor.float()
        if not self._on_gpu:
            return tensor
        landed = self._torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return landed.copy_(tensor, non_blocking=True)

    def _named(self, returned: Any) -> Mapping[str, Any]:
        if isinstance(returned, dict):
            return returned
        several = returned if isinstance(returned, list | tuple) else (returned,)
        return dict(zip(self.outputs, several, strict=True))


def _made(said: ModuleEntry, torch: Any, where: str) -> Any:
    path, _, name = said.module.partition(":")
    try:
        found = import_module(path)
    # Somebody's own code runs here.
    except Exception as error:
        raise SettingsError(f"{where}: cannot import {path!r}, which 'module' names: {error}") from error
    if not hasattr(found, name):
        raise SettingsError(f"{where}: {path} has no {name!r}{nearest(name, vars(found))}")
    try:
        module = getattr(found, name)(**said.arguments)
    except Exception as error:
        raise SettingsError(f"{where}: {said.module} cannot be made with these 'arguments': {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise SettingsError(f"{where}: {said.module} makes a {type(module).__name__}, not an nn.Module")
    return module


def _filled(module: Any, folder: Folder, weights: str, where: str) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load as read

    try:
        state = read(folder.read(weights))
    except SafetensorError as error:
        raise SettingsError(f"{where}: {weights!r} is no safetensors file: {error}") from error
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise SettingsError(f"{where}: the weights in {weights!r} are another module's: {error}") from error
    return module
