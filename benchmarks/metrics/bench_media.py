"""Metrics of media against the fastest library for each, in turn on the same decoded data.

Reading a PNG costs more than most of these metrics and is the same for all, so it is left out on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10
from time import process_time

import numpy as np
from harness import paired, report
from hotcoco.metrics import mean_iou, pixel_confusion
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import average_precision_score, roc_auc_score

from echelon.adapters import Image, Mask, Part, PointCloud, Tensor
from echelon.scorer.instruments import Entry, Instruments, Listing
from echelon.scorer.metrics.registry import metric

LABELS = tuple(f"class {n}" for n in range(21))
INSTRUMENTS = Instruments(Listing({"inception": Entry("given", {"name": "noise", "digest": "none"})}))
RANDOM = np.random.default_rng(1)


class DecodedImage(Image):
    """Pixels at hand, by name."""

    def deep_array(self) -> np.ndarray:
        return PIXELS[int(self.name)]


class DecodedMask(Mask):
    """Classes at hand, by name."""

    def array(self) -> np.ndarray:
        return CLASSES[int(self.name)]


PIXELS = RANDOM.integers(0, 256, (80, 512, 512, 3), np.uint8)
# Regions as wide as in segmented photographs, and answers a few pixels off.
WAVES = RANDOM.normal(size=(20, 21, 512, 512)).astype(np.float32)
WANTED = gaussian_filter(WAVES, (0, 0, 32, 32)).argmax(axis=1).astype(np.uint8).repeat(2, axis=0)
CLASSES = np.concatenate([np.roll(WANTED, 5, axis=2), WANTED])


def compare(name: str, ours: Callable[[], float], theirs: Callable[[], float], near: float, rounds: int = 7) -> None:
    """One line: our time and the ratio to theirs; both must give the same value."""
    assert abs(ours() - theirs()) <= near * abs(theirs()), (ours(), theirs())
    mine, other, ratios = paired(lambda: timed(ours), lambda: timed(theirs), rounds)
    ratio = ratios[len(ratios) // 2]
    report(name, f"{mine * 1e3:.0f} ms, {other * 1e3:.0f} ms, ratio {ratio:.2f}", "<= 1.25", met=ratio <= 1.25)


def timed(work: Callable[[], float]) -> float:
    start = process_time()
    work()
    return process_time() - start


def scored(name: str, pairs: Sequence[tuple[Part, Part]]) -> float:
    of = metric(name, worst=1e9, labels=LABELS, instruments=INSTRUMENTS)
    return of.finish([of.sample(given, [wanted]) for given, wanted in pairs])


def psnr() -> None:
    given, wanted = PIXELS[:40], PIXELS[40:]
    pairs = [(DecodedImage(b"", name=str(at)), DecodedImage(b"", name=str(at + 40))) for at in range(40)]

    def plain(one: np.ndarray, other: np.ndarray) -> float:
        apart = one.astype(np.float32) - other.astype(np.float32)
        return 10 * log10(255**2 / float(np.mean(apart * apart)))

    compare(
        "PSNR of 40 images, and numpy in float32",
        lambda: scored("psnr", pairs),
        lambda: float(np.mean([plain(*each) for each in zip(given, wanted, strict=True)])),
        1e-5,
    )
    compare(
        "PSNR of 40 images, and scikit-image",
        lambda: scored("psnr", pairs),
        lambda: float(np.mean([peak_signal_noise_ratio(b, a) for a, b in zip(given, wanted, strict=True)])),
        1e-12,
    )


def miou() -> None:
    given, wanted = CLASSES[:40], CLASSES[40:]
    blank = Mask.from_array(np.zeros((1, 1), np.uint8)).png
    masks = [DecodedMask(512, 512, blank, name=str(at)) for at in range(80)]
    pairs = list(zip(masks[:40], masks[40:], strict=True))

    def counted() -> float:
        joint = np.zeros((21, 21))
        for ours, theirs in zip(given, wanted, strict=True):
            pairs = theirs.astype(np.int64).ravel() * 21 + ours.ravel()
            joint += np.bincount(pairs, minlength=441).reshape(21, 21)
        inside = joint.diagonal()
        return float(np.mean(inside / (joint.sum(0) + joint.sum(1) - inside)))

    compare("mIoU of 40 masks, and numpy's bincount", lambda: scored("miou", pairs), counted, 1e-12)

    def rust() -> float:
        # Answers may hold values beyond the labels, which would be errors here.
        joint = sum(pixel_confusion(b, np.minimum(a, 21), 22) for a, b in zip(given, wanted, strict=True))
        return float(mean_iou(joint)["mIoU"])

    compare("mIoU of 40 masks, and hotcoco", lambda: scored("miou", pairs), rust, 1e-12)


def chamfer() -> None:
    clouds = RANDOM.normal(size=(400, 2048, 3)).astype(np.float32)
    parts = [PointCloud.from_array(cloud) for cloud in clouds]

    def plain() -> float:
        return float(
            np.mean(
                [
                    cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()
                    for a, b in zip(clouds[:200], clouds[200:], strict=True)
                ]
            )
        )

    pairs = list(zip(parts[:200], parts[200:], strict=True))
    compare("Chamfer of 200 clouds, and SciPy's cKDTree", lambda: scored("chamfer", pairs), plain, 1e-12, rounds=5)


def frechet() -> None:
    given, wanted = RANDOM.normal(size=(2, 5000, 2048))
    pairs = [(Tensor.from_array(a), Tensor.from_array(b)) for a, b in zip(given, wanted, strict=True)]

    def cholesky() -> float:
        apart = given.mean(axis=0) - wanted.mean(axis=0)
        ours, theirs = np.cov(given, rowvar=False), np.cov(wanted, rowvar=False)
        factor = np.linalg.cholesky(ours)
        roots = np.sqrt(np.maximum(np.linalg.eigvalsh(factor.T @ theirs @ factor), 0))
        return float(apart @ apart + np.trace(ours) + np.trace(theirs) - 2 * roots.sum())

    compare("Fréchet, 5000 features of 2048, and numpy", lambda: scored("fid", pairs), cholesky, 1e-7, rounds=3)


def ranking() -> None:
    there = RANDOM.random((16, 256, 256)) < 0.05
    levels = np.clip(RANDOM.normal(20_000 + 12_000 * there, 9000), 0, 65_535).astype(np.uint16)
    floats = RANDOM.normal(there, 1).astype(np.float32)
    for what, maps in (("levels of 16 bits", levels), ("floats", floats)):
        pairs = [
            (Tensor.from_array(each), Mask.from_array(truth.astype(np.uint8)))
            for each, truth in zip(maps, there, strict=True)
        ]
        for name, oracle in (("ap_anomaly", average_precision_score), ("auc", roc_auc_score)):
            compare(
                f"{name} of a million {what}, and scikit-learn",
                lambda name=name, pairs=pairs: scored(name, pairs),
                lambda oracle=oracle, maps=maps: float(oracle(there.ravel(), maps.ravel())),
                1e-12,
            )


def main() -> None:
    psnr()
    miou()
    chamfer()
    ranking()
    frechet()


if __name__ == "__main__":
    main()
