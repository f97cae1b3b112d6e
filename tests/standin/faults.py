"""Faults that a test can switch on."""

from dataclasses import dataclass


@dataclass
class Faults:
    """What goes wrong, and when."""
