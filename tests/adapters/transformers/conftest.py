"""Checkpoints of real architectures, tiny and with random weights, made by the tests and saved as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from echelon.adapters.transformers import Transformers, TransformersSettings

CHAT = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for piece in message.content -%}"
    "{%- if piece.type == 'text' -%}{{ piece.text }}{%- else -%}<PLACEHOLDER>{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
SPECIAL = ["<pad>", "<bos>", "<|im_start|>", "<|im_end|>"]


def bytewise(*more: str, **named: Any) -> Any:
    """A tokenizer with a token for each byte, and the special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", *more],
        **named,
    )


def text_config(tokenizer: Any, kind: type[Any] = transformers.LlamaConfig, **more: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    return kind(vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=2048, **sizes, **ids, **more)


def save(folder: Path, model: Any, processor: Any) -> None:
    """As its makers would; weights large enough that different inputs get different answers."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.ndim > 1 and "norm" not in name:
                values.normal_(std=0.35)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def llama(folder: Path) -> None:
    tokenizer = bytewise()
    tokenizer.chat_template = CHAT
    save(folder, transformers.LlamaForCausalLM(text_config(tokenizer)), tokenizer)


def t5(folder: Path) -> None:
    tokenizer = bytewise()
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    save(folder, transformers.T5ForConditionalGeneration(config), tokenizer)


def llava(folder: Path) -> None:
    tokenizer = bytewise("<image>")
    tokenizer.chat_template = CHAT.replace("<PLACEHOLDER>", "<image>\n")
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14,
        projection_dim=32,
    )  # fmt: skip
    config = transformers.LlavaConfig(
        vision, text_config(tokenizer), image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )  # fmt: skip
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = transformers.LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    save(folder, transformers.LlavaForConditionalGeneration(config), processor)


MAKERS: dict[str, Callable[[Path], None]] = {maker.__name__: maker for maker in (llama, t5, llava)}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a checkpoint, made when first asked for."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            MAKERS[name](made[name])
        return made[name]

    return make


@pytest.fixture
def opened(checkpoint: Callable[[str], Path]) -> Iterator[Callable[..., Transformers]]:
    """Opens a checkpoint, and closes it after the test."""
    adapters: list[Transformers] = []

    def open_(name: str, **settings: Any) -> Transformers:
        adapters.append(Transformers())
        adapters[-1].open(TransformersSettings(folder=checkpoint(name), **settings))
        return adapters[-1]

    yield open_
    for adapter in adapters:
        adapter.close()
