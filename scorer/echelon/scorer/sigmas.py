"""Maps scores in a metric's own unit to sigmas, which lie in 0 to 100 and are higher for better.

2025 is arXiv 2505.04620, appendix A.1; 2024 the site of the tutorial. A metric that only one of them maps has that map
in both.
Where a formula has a pole, or only comes close to 100, a perfect score is 100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, tanh
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from echelon.adapters.settings import nearest
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError

Edition: TypeAlias = Literal["2024", "2025"]
EDITIONS: tuple[Edition, ...] = get_args(Edition)

PERFECT_PSNR_DB = 100.0

Map: TypeAlias = Callable[[float], float]
"""From a score to 0 to 1."""


def sigma(metric_name: str, score: float, edition: str) -> float:
    """The score on the scale of an edition; a metric without a map of its own has to be a fraction."""
    maps = MAPS.get(edition)
    if maps is None:
        raise UnknownNameError(f"there is no edition {edition!r}{nearest(edition, MAPS)}")
    to_unit = maps.get(metric_name)
    if to_unit is None:
        if not 0 <= score <= 1:
            raise InvalidSuiteError(
                f"metric {metric_name!r} gave {score}: edition {edition} has no map for it, "
                "so its scores must be fractions"
            )
        return 100 * score
    if not isfinite(score):
        raise InvalidSuiteError(f"metric {metric_name!r} gave {score}, which is no score")
    return 100 * min(1.0, max(0.0, to_unit(score)))


def _logistic(z: float) -> float:
    return (1 + tanh(z / 2)) / 2


def _falling(scale: float) -> Map:
    """2 sigmoid(scale / x) - 1."""
    return lambda x: tanh(scale / x / 2) if x > 0 else 1.0


def _half_falling(scale: float) -> Map:
    """sigmoid(scale / x), which never falls below a half."""
    return lambda x: _logistic(scale / x) if x > 0 else 1.0


def _psnr_2025(x: float) -> float:
    return tanh(x / 20) if x < PERFECT_PSNR_DB else 1.0


def _psnr_2024(x: float) -> float:
    return _logistic(x / 15) if x < PERFECT_PSNR_DB else 1.0


MAPS_2025: Mapping[str, Map] = {
    "abs_rel": _falling(0.1),
    "abs_rel_official": _falling(0.1),
    "cer": lambda x: 1 - x,
    "cer_speech": lambda x: 1 - x,
    "chamfer": _falling(1),
    "chamfer_squared": _falling(1),
    "chamfer_surface": _falling(1),
    "cider": lambda x: x,  # can exceed 1
    "cider_speech": lambda x: x,
    "epe": _falling(1),
    "epe_official": _falling(1),
    "fad": _falling(10),
    "fid": _falling(25),
    "fvd": _falling(100),
    "lpips": _half_falling(80),  # of 2024; 2025 has no such task
    "mae": _falling(50),
    "mae_official": _falling(50),
    "mcd": _falling(5),
    "mos": lambda x: (x - 1) / 4,
    "mota": lambda x: x,  # can fall below 0
    "ms_ssim": lambda x: (x + 1) / 2,
    "mse": _falling(5),
    "mse_number": _falling(5),
    "pcc": lambda x: x,  # can fall below 0
    "pcc_read": lambda x: x,
    "psnr": _psnr_2025,
    "psnr_audio": _psnr_2025,
    "psnr_video": _psnr_2025,
    "psnr_video_official": _psnr_2025,
    "rms": _falling(50),
    "rmse": _falling(5),
    "rmse_image": _falling(5),
    "rmse_normals": _falling(5),
    "rmse_tensor": _falling(5),
    "rpe": _falling(0.5),  # a translation error like RTE
    "rte": _falling(0.5),
    "sad": _falling(10),
    "wer": lambda x: 1 - x,
    "wer_characters": lambda x: 1 - x,
    "wer_mean": lambda x: 1 - x,
    "wer_speech": lambda x: 1 - x,
}
MAPS_2024: Mapping[str, Map] = {
    **MAPS_2025,
    "fid": _half_falling(100),
    "mae": _half_falling(50),
    "mae_official": _half_falling(50),
    "psnr": _psnr_2024,
    "psnr_audio": _psnr_2024,
    "psnr_video": _psnr_2024,
    "psnr_video_official": _psnr_2024,
}
MAPS: Mapping[str, Mapping[str, Map]] = MappingProxyType({"2024": MAPS_2024, "2025": MAPS_2025})
