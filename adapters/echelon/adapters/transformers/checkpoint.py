"""A checkpoint, loaded: the model, its processor, and what is known of them."""

from __future__ import annotations

import copy
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import MissingExtraError, SettingsError
from echelon.adapters.pytorch import device_of, import_torch, limit_memory, make_deterministic
from echelon.adapters.transformers.source import located

if TYPE_CHECKING:
    from pathlib import Path

    from echelon.adapters.transformers.settings import TransformersSettings

log = logging.getLogger(__name__)

EXTRA = "transformers"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the folder of a model holds, on its device."""

    model: Any
    processor: Any
    """A tokenizer, where the model takes text alone."""
    generation: Any
    """The generation config as it came; None for what does not generate."""
    device: Any
    architecture: str
    version: str
    digest: str
    engine: str

    @property
    def tokenizer(self) -> Any:
        """Turns text into tokens and back."""
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt is read by a network of its own."""
        config = self.model.config
        return bool(config.is_encoder_decoder or config.get_text_config().is_encoder_decoder)

    @property
    def context(self) -> int | None:
        """Tokens of a prompt and its answer together; None where nothing bounds them."""
        most = getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return None if most is None or self.is_encoder_decoder else int(most)

    def placed(self, tensors: dict[str, Any]) -> dict[str, Any]:
        """The tensors on the model's device, those of numbers in the model's type."""
        import torch

        return {
            name: values.to(self.device, self.model.dtype if values.is_floating_point() else None)
            if isinstance(values, torch.Tensor)
            else values
            for name, values in tensors.items()
        }


def load(settings: TransformersSettings) -> Checkpoint:
    """The checkpoint that the settings name; SettingsError where it cannot be served."""
    torch, transformers = import_torch(EXTRA), import_transformers()
    transformers.utils.logging.disable_progress_bar()
    source = located(settings)
    if settings.deterministic:
        make_deterministic(torch)
    device = device_of(settings.device, torch)
    limit_memory(settings.memory_gib, device, torch)
    trust: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    try:
        config = transformers.AutoConfig.from_pretrained(source.path, **trust)
        model_class = _model_class(transformers, config, settings)
        processor = _processor(transformers, config, source.path, {**settings.processor, **trust})
        attention = {} if settings.attention == "auto" else {"attn_implementation": settings.attention}
        model = model_class.from_pretrained(
            source.path,
            config=config,
            dtype=settings.dtype,
            use_safetensors=True,  # the other format runs code
            **attention,
            **(trust if settings.trust_remote_code else {}),
        )
        model = model.to(device).eval()
    except (SettingsError, MissingExtraError):
        raise
    # Anything may be wrong with a checkpoint, and the library has no error class of its own.
    except Exception as error:
        raise SettingsError(f"{source.path} cannot be loaded: {' '.join(str(error).split())}") from error
    return Checkpoint(
        model,
        processor,
        copy.deepcopy(getattr(model, "generation_config", None)),
        device,
        type(model).__name__,
        source.version,
        source.digest,
        f"transformers {transformers.__version__}, torch {torch.__version__}",
    )


def import_transformers() -> Any:
    """The module; MissingExtraError without it."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", EXTRA) from error
    return transformers


def _model_class(transformers: Any, config: Any, settings: TransformersSettings) -> Any:
    names = list(config.architectures or ())
    for name in names:
        known = getattr(transformers, name, None)
        if known is not None:
            return known
    auto_map = getattr(config, "auto_map", None) or {}
    remote = next((name for name in auto_map if name.startswith("AutoModel")), None)
    if settings.trust_remote_code and remote is not None:
        return getattr(transformers, remote)
    said = " or ".join(names) or "no architecture"
    fix = "convert it to one that it has"
    if remote is not None:
        fix += ", or set 'trust_remote_code: true' to run the code that comes with it"
    raise SettingsError(
        f"the checkpoint is of {said}, which transformers {transformers.__version__} does not have; {fix}"
    )


def _processor(transformers: Any, config: Any, path: Path, options: dict[str, Any]) -> Any:
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    known = PROCESSOR_MAPPING.get(type(config), None)
    if known is not None and "video_processor" in known.get_attributes():
        return _without_video(known).from_pretrained(path, **options)
    return transformers.AutoProcessor.from_pretrained(path, **options)


def _without_video(processor_class: Any) -> Any:
    """The same processor for text and images alone.

    Video comes as frames; and a video processor needs torchvision, so that without it none of the model would load.
    """
    kept = [name for name in processor_class.get_attributes() if name != "video_processor"]
    order = [name for name in inspect.signature(processor_class.__init__).parameters if name in kept]
    before_video = list(inspect.signature(processor_class.__init__).parameters)[1 : 1 + len(kept)]
    if order != before_video:
        raise SettingsError(f"{processor_class.__name__} cannot do without its video processor")
    narrowed = {"get_attributes": classmethod(lambda cls: kept), "__module__": processor_class.__module__}
    return type(processor_class.__name__, (processor_class,), narrowed)
