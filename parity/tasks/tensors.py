"""How far the outputs of a net lie apart."""

from collections.abc import Iterator

import numpy as np

from parity.both import Both
from parity.columns import Column, Floats, counted


def columns(both: Both, net: str) -> Iterator[Column]:
    """Of each output: deviations in its own unit, cosine, signal-to-noise ratio in dB.

    Where the two never had something to look at both, deviations are infinite.
    """
    is_seen = both.has_seen(net)
    is_counted = is_seen if is_seen.any() else np.ones_like(is_seen)
    for output in both.pack.chain.nets[net].outputs:
        before, after = (
            values.reshape(len(values), -1).astype(np.float64)
            for values in both.outputs(net, output)
        )
        absolute = np.abs(after - before)
        measured = {
            "tensor_max_abs": counted(absolute.max(axis=1), is_counted),
            "tensor_mean_abs": counted(absolute.mean(axis=1), is_counted),
            "tensor_cosine": np.where(is_counted, _cosines(before, after), np.nan),
            "tensor_snr_db": np.where(is_counted, _snr_db(before, absolute), np.nan),
        }
        for metric, values in measured.items():
            yield Column(metric, f"{net}/{output}", values)


def _cosines(before: Floats, after: Floats) -> Floats:
    """(N,); -1 where one is no number."""
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    # Two vectors of zeros point the same way; one of zeros points nowhere.
    alike = np.asarray(~before.any(axis=1) & ~after.any(axis=1), dtype=np.float64)
    products = (before * after).sum(axis=1)
    cosines = np.divide(products, norms, out=alike, where=norms > 0)
    return np.where(np.isfinite(norms) & np.isfinite(cosines), cosines, -1.0)


def _snr_db(before: Floats, absolute: Floats) -> Floats:
    """Power of the reference over that of the deviation (N,); infinite where there is none, minus
    infinity where the candidate is no number or the reference all zeros.
    """
    signal, noise = (before**2).sum(axis=1), (absolute**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(signal / noise)
    return np.where(noise == 0, np.inf, np.where(np.isfinite(ratios), ratios, -np.inf))
