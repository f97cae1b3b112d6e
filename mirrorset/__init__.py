"""GROUND FLOOR: records, catalogue, blobs, licences, geometry, metrics, and the reader `load`."""

from mirrorset.load import Item, Release, load
from mirrorset.samples import Arrays, Batch, Samples, batch

__all__ = ["Arrays", "Batch", "Item", "Release", "Samples", "batch", "load"]
