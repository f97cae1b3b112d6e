"""How far the outputs of a net lie apart."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parity.both import Both
from parity.columns import Column, Floats, counted

# What is worked out at once stays in a processor's cache, and memory does not grow with the images.
_VALUES_AT_ONCE = 1 << 15


def columns(both: Both, net: str) -> Iterator[Column]:
    """Of each output: deviations in its own unit, cosine, signal-to-noise ratio in dB.

    Where the two never had something to look at both, deviations are infinite.
    """
    is_seen = both.has_seen(net)
    is_counted = is_seen if is_seen.any() else np.ones_like(is_seen)
    for output in both.pack.chain.nets[net].outputs:
        largest, mean, cosines, snr_db = _apart(*both.outputs(net, output))
        measured = {
            "tensor_max_abs": counted(largest, is_counted),
            "tensor_mean_abs": counted(mean, is_counted),
            "tensor_cosine": np.where(is_counted, cosines, np.nan),
            "tensor_snr_db": np.where(is_counted, snr_db, np.nan),
        }
        for metric, values in measured.items():
            yield Column(metric, f"{net}/{output}", values)


def _apart(before: NDArray[np.float32], after: NDArray[np.float32]) -> Floats:
    """Largest and mean deviation, cosine and ratio in dB of each image: (4, N)."""
    befores, afters = (values.reshape(len(values), -1) for values in (before, after))
    at_once = max(1, _VALUES_AT_ONCE // befores.shape[1])
    return np.hstack(
        [
            _block_apart(befores[first : first + at_once], afters[first : first + at_once])
            for first in range(0, len(befores), at_once)
        ]
    )


def _block_apart(befores: NDArray[np.float32], afters: NDArray[np.float32]) -> Floats:
    """The same of some images (n, V) in double precision: (4, n)."""
    before, after = befores.astype(np.float64), afters.astype(np.float64)
    absolute = np.abs(after - before)
    power, power_after, product, noise = (
        (a * b).sum(axis=1)
        for a, b in ((before, before), (after, after), (before, after), (absolute, absolute))
    )
    return np.stack(
        [
            absolute.max(axis=1),
            absolute.mean(axis=1),
            _cosines(product, power, power_after),
            _snr_db(power, noise),
        ]
    )


def _cosines(products: Floats, powers: Floats, powers_after: Floats) -> Floats:
    """(n,); -1 where one is no number."""
    norms = np.sqrt(powers) * np.sqrt(powers_after)
    # Two vectors of zeros point the same way; one of zeros points nowhere.
    alike = np.asarray((powers == 0) & (powers_after == 0), dtype=np.float64)
    cosines = np.divide(products, norms, out=alike, where=norms > 0)
    return np.where(np.isfinite(norms) & np.isfinite(cosines), cosines, -1.0)


def _snr_db(signal: Floats, noise: Floats) -> Floats:
    """Power of the reference over that of the deviation (n,); infinite where there is none, minus
    infinity where the candidate is no number or the reference all zeros.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(signal / noise)
    return np.where(noise == 0, np.inf, np.where(np.isfinite(ratios), ratios, -np.inf))
