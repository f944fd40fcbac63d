"""A language model on the transformers adapter: batches, labels, and what it costs that each row has its own rules."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from harness import paired, report
from tokenizers import Tokenizer, models, pre_tokenizers

from echelon.adapters import Answer, Call, Kind, Request, Sampling, Text
from echelon.adapters.transformers import Transformers, TransformersSettings

TOKENS, BATCH, ROUNDS = 16, 8, 3
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def make_checkpoint(folder: Path) -> None:
    """A Llama of seeded random weights that never ends by itself, with a word a token."""
    words = {word: place for place, word in enumerate(["<pad>", *WORDS, *(f"w{place}" for place in range(8180))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=384, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=6,
        eos_token_id=None, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        make_checkpoint(Path(name))
        adapter = Transformers()
        adapter.open(TransformersSettings(folder=Path(name), device="cpu"))
        bare = transformers.LlamaForCausalLM.from_pretrained(name).eval()

    texts = [Text(" ".join(WORDS[: place + 3])) for place in range(BATCH)]

    def asked(temperature: float) -> list[Request]:
        sampling = Sampling(0, temperature, 0.9 if temperature else None, TOKENS)
        return [Request(Call.LANGUAGE, "", (text,), sampling=sampling) for text in texts]

    def answer(requests: list[Request]) -> None:
        assert all(isinstance(returned, Answer) for returned in adapter.language(requests))

    greedy, hot = asked(0.0), asked(1.0)
    _, _, ratios = paired(
        lambda: timed(lambda: [answer([request]) for request in greedy]),
        lambda: timed(lambda: answer(greedy)),
        rounds=ROUNDS,
    )
    gain = ratios[len(ratios) // 2]
    report(f"{BATCH} texts of {TOKENS} tokens, one by one / as a batch", f"{gain:.2f}x", ">= 1.8x", met=gain >= 1.8)

    prompt = adapter._checkpoint.tokenizer(
        [text.value for text in texts], return_tensors="pt", padding=True, padding_side="left"
    )

    def generate(**options: Any) -> None:
        with torch.inference_mode():
            bare.generate(
                input_ids=prompt.input_ids, attention_mask=prompt.attention_mask, max_new_tokens=TOKENS, **options
            )

    for said, requests, options in (
        ("greedy", greedy, {"do_sample": False}),
        ("top-p", hot, {"do_sample": True, "top_p": 0.9, "top_k": 0}),
    ):
        _, _, ratios = paired(
            lambda: timed(lambda: answer(requests)),  # noqa: B023  (run at once)
            lambda: timed(lambda: generate(**options)),  # noqa: B023
            rounds=ROUNDS,
        )
        cost = ratios[len(ratios) // 2]
        report(f"The same batch, {said}, adapter / bare generate()", f"{cost:.2f}x", "<= 1.3x", met=cost <= 1.3)

    labels = [Request(Call.LANGUAGE, "", (text,), (Kind.CHOICE,), tuple(WORDS[:4])) for text in texts]
    _, _, ratios = paired(lambda: timed(lambda: answer(greedy)), lambda: timed(lambda: answer(labels)), rounds=ROUNDS)
    gain = ratios[len(ratios) // 2]
    report("A text / a choice of 4 labels of one token", f"{gain:.1f}x", ">= 4x", met=gain >= 4)


if __name__ == "__main__":
    main()
