"""GROUND FLOOR: records, catalogue, blobs, licences, geometry, metrics, and the reader `load`."""

from mirrorset.load import Item, Release, load

__all__ = ["Item", "Release", "load"]
