"""Checkpoints of real architectures, tiny and with random weights, made by the tests and saved as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from echelon.adapters.transformers import Transformers, TransformersSettings

# Networks this small gain nothing from a second thread, and wait for it on a busy machine.
torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for piece in message.content %}"
    "{% if piece.type == 'text' %}{{ piece.text }}{% else %}<PLACEHOLDER>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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
        vision_config=vision,
        text_config=text_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = transformers.LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    save(folder, transformers.LlavaForConditionalGeneration(config), processor)


VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
          "image_size": 32, "patch_size": 8}  # fmt: skip


def llava_next(folder: Path) -> None:
    tokenizer = bytewise("<image>")
    grid = [[28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**{**VISION, "image_size": 28, "patch_size": 14}),
        text_config=text_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_grid_pinpoints=grid,
    )
    images = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
    )
    processor = transformers.LlavaNextProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=CHAT.replace("<PLACEHOLDER>", "<image>\n"),
    )  # fmt: skip
    save(folder, transformers.LlavaNextForConditionalGeneration(config), processor)


QFORMER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
           "encoder_hidden_size": 32}  # fmt: skip


def blip_2(folder: Path) -> None:
    tokenizer = bytewise("<image>")
    text = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    config = transformers.Blip2Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 14}, qformer_config={**QFORMER, "vocab_size": 300},
        text_config=text.to_dict(), num_query_tokens=3, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = transformers.BlipImageProcessorPil(size={"height": 28, "width": 28})
    processor = transformers.Blip2Processor(images, tokenizer, num_query_tokens=3)
    save(folder, transformers.Blip2ForConditionalGeneration(config), processor)


def instructblip(folder: Path) -> None:
    tokenizer, asking = bytewise("<image>"), bytewise()
    config = transformers.InstructBlipConfig(
        vision_config={**VISION, "image_size": 28, "patch_size": 14},
        qformer_config={**QFORMER, "vocab_size": len(asking)}, text_config=text_config(tokenizer).to_dict(),
        num_query_tokens=3, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = transformers.BlipImageProcessorPil(size={"height": 28, "width": 28})
    processor = transformers.InstructBlipProcessor(images, tokenizer, asking, num_query_tokens=3)
    save(folder, transformers.InstructBlipForConditionalGeneration(config), processor)


def qwen2_5_vl(folder: Path) -> None:
    tokenizer = bytewise("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer.chat_template = CHAT.replace("<PLACEHOLDER>", "<|vision_start|><|image_pad|><|vision_end|>")
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in (
        ("image_token_id", "image_pad"), ("video_token_id", "video_pad"),
        ("vision_start_token_id", "vision_start"), ("vision_end_token_id", "vision_end"),
    )}  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = transformers.Qwen2_5_VLConfig(
        text_config=text_config(tokenizer, transformers.Qwen2_5_VLTextConfig, rope_parameters=rope).to_dict(),
        vision_config={"hidden_size": 32, "intermediate_size": 48, "depth": 2, "num_heads": 4, "out_hidden_size": 32,
                       "fullatt_block_indexes": [1], "patch_size": 14, "window_size": 56},
        tie_word_embeddings=False,
        **ids,
    )  # fmt: skip
    images = transformers.Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56)
    save(folder, transformers.Qwen2_5_VLForConditionalGeneration(config), tokenizer)
    images.save_pretrained(folder)


def internvl(folder: Path) -> None:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = bytewise(*named.values(), "<ref>", "</ref>", "<box>", "</box>", extra_special_tokens=named)
    tokenizer.chat_template = CHAT.replace("<PLACEHOLDER>", "<IMG_CONTEXT>\n")
    config = transformers.InternVLConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                       "image_size": [28, 28], "patch_size": [7, 7]},
        text_config=text_config(tokenizer, transformers.Qwen2Config).to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )  # fmt: skip
    save(folder, transformers.InternVLForConditionalGeneration(config), tokenizer)
    images = transformers.GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, crop_to_patches=True, min_patches=1, max_patches=4
    )
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text('{"processor_class": "InternVLProcessor", "image_seq_length": 4}')


def paligemma(folder: Path) -> None:
    tokenizer = bytewise("<image>")
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
              "image_size": 28, "patch_size": 14, "projection_dim": 32}  # fmt: skip
    images = transformers.SiglipImageProcessorPil(size={"height": 28, "width": 28}, image_seq_length=4)
    images.image_seq_length = 4
    processor = transformers.PaliGemmaProcessor(images, tokenizer)
    config = transformers.PaliGemmaConfig(
        vision_config={**vision, "model_type": "siglip_vision_model"},
        text_config={**text_config(tokenizer, transformers.GemmaConfig, head_dim=8).to_dict(), "model_type": "gemma"},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
    )
    save(folder, transformers.PaliGemmaForConditionalGeneration(config), processor)


def chameleon(folder: Path) -> None:
    tokenizer = bytewise("<image>", "<racm3:break>", "<eoss>", "<reserved08706>")
    tokenizer.add_special_tokens({"sep_token": "<reserved08706>"})
    names = {f"IMGIMG{letter}Z": 300 + place for place, letter in enumerate("ABCDEFGH")}
    tokenizer.add_tokens([f"<filler{place}>" for place in range(310 - len(tokenizer))])
    config = transformers.ChameleonConfig(
        **{key: value for key, value in text_config(tokenizer, transformers.LlamaConfig).to_dict().items()
           if key not in ("model_type", "architectures", "rope_parameters")},
        vq_config={"embed_dim": 16, "num_embeddings": 8, "latent_channels": 16, "base_channels": 32, "resolution": 32,
                   "channel_multiplier": [1, 2], "num_res_blocks": 1},
        vocabulary_map={"<image>": tokenizer.convert_tokens_to_ids("<image>"), **names},
    )  # fmt: skip
    images = transformers.ChameleonImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = transformers.ChameleonProcessor(images, tokenizer, image_seq_length=256)
    save(folder, transformers.ChameleonForConditionalGeneration(config), processor)


def qwen2_audio(folder: Path) -> None:
    tokenizer = bytewise("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    features = transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    config = transformers.Qwen2AudioConfig(
        audio_config={"num_mel_bins": 16, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48,
                      "d_model": 32, "max_source_positions": 100, "model_type": "qwen2_audio_encoder"},
        text_config={**text_config(tokenizer, transformers.Qwen2Config).to_dict(), "model_type": "qwen2"},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )  # fmt: skip
    save(
        folder,
        transformers.Qwen2AudioForConditionalGeneration(config),
        transformers.Qwen2AudioProcessor(features, tokenizer),
    )


def janus(folder: Path) -> None:
    named = {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = bytewise(extra_special_tokens=named)
    config = transformers.JanusConfig(
        text_config=text_config(tokenizer).to_dict(),
        vision_config={**VISION, "num_image_tokens": 16, "projection_dim": 32, "mlp_ratio": 2.0},
        vq_config={"base_channels": 32, "channel_multiplier": [1, 2], "num_res_blocks": 1, "embed_dim": 8,
                   "latent_channels": 16, "num_embeddings": 24, "projection_dim": 32, "image_token_embed_dim": 32},
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
    )  # fmt: skip
    model = transformers.JanusForConditionalGeneration(config)
    images = transformers.JanusImageProcessor(size={"height": 32, "width": 32}, min_size=8)
    save(
        folder,
        model,
        transformers.JanusProcessor(
            images, tokenizer, CHAT.replace("<PLACEHOLDER>", "<image_placeholder>"), num_image_tokens=16
        ),
    )


def emu3(folder: Path) -> None:
    named = {"image_token": "<image>", "boi_token": "<|image start|>", "eoi_token": "<|image end|>",
             "image_wrapper_token": "<|image token|>", "eof_token": "<|extra_201|>"}  # fmt: skip
    visual = [f"<|visual token {place:06d}|>" for place in range(24)]
    tokenizer = bytewise(extra_special_tokens=named)
    tokenizer.add_tokens(["<|extra_200|>", *visual], special_tokens=True)
    vocabulary = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<image>", "<|extra_200|>", *visual)}
    config = transformers.Emu3Config(
        text_config=text_config(tokenizer, transformers.Emu3TextConfig).to_dict(),
        vq_config={"base_channels": 32, "channel_multiplier": [1, 1, 1, 1], "num_res_blocks": 1, "codebook_size": 24,
                   "hidden_size": 32, "attn_resolutions": []},
        vocabulary_map=vocabulary,
    )  # fmt: skip
    images = transformers.Emu3ImageProcessor(min_pixels=32 * 32, max_pixels=32 * 32)
    template = CHAT.replace("<PLACEHOLDER>", "<image>")
    save(
        folder,
        transformers.Emu3ForConditionalGeneration(config),
        transformers.Emu3Processor(images, tokenizer, template),
    )


def wordwise(kind: type[Any], folder: Path) -> Any:
    """BERT's tokenizer, with the numbers that Grounding DINO counts on."""
    words = [f"[unused{place}]" for place in range(1040)]
    for place, word in ((0, "[PAD]"), (100, "[UNK]"), (101, "[CLS]"), (102, "[SEP]"), (1012, "."), (1029, "?")):
        words[place] = word
    for place, word in enumerate(("cat", "dog", "a", "red", "box", "photo", "of")):
        words[200 + place] = word
    return kind(vocab={word: place for place, word in enumerate(words)})


def grounding_dino(folder: Path) -> None:
    tokenizer = wordwise(transformers.BertTokenizer, folder)
    backbone = transformers.SwinConfig(
        image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=1040, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    )
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, num_queries=12,
    )  # fmt: skip
    images = transformers.GroundingDinoImageProcessorPil(size={"shortest_edge": 96, "longest_edge": 128})
    save(
        folder,
        transformers.GroundingDinoForObjectDetection(config),
        transformers.GroundingDinoProcessor(images, tokenizer),
    )


def clip_parts() -> tuple[Any, dict[str, Any]]:
    tokenizer = bytewise(model_max_length=24)
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<bos>", "<|im_end|>")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("<bos> $A <|im_end|>", None, ends)
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 24, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    return tokenizer, {"text_config": text, "vision_config": VISION, "projection_dim": 32}


def clip(folder: Path) -> None:
    tokenizer, config = clip_parts()
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    save(
        folder, transformers.CLIPModel(transformers.CLIPConfig(**config)), transformers.CLIPProcessor(images, tokenizer)
    )


def clipseg(folder: Path) -> None:
    tokenizer, config = clip_parts()
    images = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    config = transformers.CLIPSegConfig(
        **config, extract_layers=[0, 1], reduce_dim=16, decoder_num_attention_heads=2, decoder_intermediate_size=32
    )
    save(folder, transformers.CLIPSegForImageSegmentation(config), transformers.CLIPSegProcessor(images, tokenizer))


MAKERS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (
        llama, t5, llava, llava_next, blip_2, instructblip, qwen2_5_vl, internvl, paligemma, chameleon, qwen2_audio,
        janus, emu3, grounding_dino, clip, clipseg,
    )
}  # fmt: skip


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
        adapter = Transformers()
        adapter.open(TransformersSettings(**{"folder": checkpoint(name), **settings}))
        adapters.append(adapter)
        return adapter

    yield open_
    for adapter in adapters:
        adapter.close()
