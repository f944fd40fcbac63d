"""Runs a model token by token for a batch of rows, each with its own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.rows import Chance, Row


def decode(checkpoint: Checkpoint, tensors: dict[str, Any], rows: Sequence[Row], config: Any, **options: Any) -> None:
    """Have the model continue every row of the batch until it ends."""
    import torch

    for row in rows:
        row.look()
    if all(row.ended for row in rows):
        return
    with torch.inference_mode():
        _generate(checkpoint.model)(
            **checkpoint.placed(tensors),
            generation_config=config,
            logits_processor=[picking(rows)],
            stopping_criteria=[_following(rows)],
            **options,
        )


def _generate(model: Any) -> Callable[..., Any]:
    from transformers import GenerationMixin

    if model.config.model_type == "janus":
        # Its own method forgets the logits processors when it writes text.
        return lambda **arguments: GenerationMixin.generate(model, **arguments)
    generate: Callable[..., Any] = model.generate
    return generate


def picking(rows: Sequence[Row]) -> Callable[[Any, Any], Any]:
    """What makes a model that takes the likeliest token take the one that each row wants."""

    def pick(input_ids: Any, scores: Any) -> Any:
        import torch

        forced = {
            place: token
            for place, row in enumerate(rows)
            if not row.ended and (token := row.choose(scores[place])) is not None
        }
        drawn = [place for place, row in enumerate(rows) if not row.ended and row.chance is not None]
        if drawn:
            forced |= zip(drawn, _drawn(scores[drawn], [rows[place] for place in drawn]), strict=True)
        if not forced:
            return scores
        scores = scores.clone()
        places, tokens = list(forced), list(forced.values())
        scores[places] = -torch.inf
        scores[places, tokens] = 0
        return scores

    return pick


def _following(rows: Sequence[Row]) -> Callable[..., Any]:
    def follow(input_ids: Any, scores: Any, **more: Any) -> Any:
        import torch

        for row, token in zip(rows, input_ids[:, -1].tolist(), strict=True):
            if not row.ended:
                row.take(token)
            if not row.ended:
                row.look()
        return torch.tensor([row.ended for row in rows], device=input_ids.device)

    return follow


def _drawn(scores: Any, rows: Sequence[Row]) -> list[int]:
    chances = [row.chance for row in rows if row.chance is not None]
    return draw(scores, chances, [row.random.random() for row in rows])


def draw(scores: Any, chances: Sequence[Chance], numbers: Sequence[float]) -> list[int]:
    """A token for each row of `scores`, picked by a random number from 0 to 1 of its own.

    So a row's tokens depend on its own seed alone: not on the rows beside it, nor on the device's generator.
    """
    import torch

    def column(values: Sequence[float]) -> Any:
        return torch.tensor(values, dtype=torch.float64, device=scores.device)[:, None]

    if torch.are_deterministic_algorithms_enabled():
        scores = scores.cpu()  # a running sum on CUDA does not repeat its last bits, and is refused then
    ordered, order = scores.double().sort(dim=-1, descending=True, stable=True)
    likely = (ordered / column([chance.temperature for chance in chances])).softmax(-1)
    size = likely.shape[-1]
    rank = torch.arange(size, device=scores.device)
    likely = likely.where(rank < column([chance.top_k or size for chance in chances]), 0)
    likely /= likely.sum(-1, keepdim=True)
    before = likely.cumsum(-1) - likely
    likely = likely.where((before < column([chance.top_p for chance in chances])) | (rank == 0), 0)
    reached = likely.cumsum(-1)
    wanted = column(numbers) * reached[:, -1:]
    place = torch.searchsorted(reached, wanted, right=True).clamp(max=size - 1)
    last = (likely > 0).sum(-1, keepdim=True) - 1
    tokens: list[int] = order.gather(-1, place.minimum(last)).squeeze(-1).tolist()
    return tokens
