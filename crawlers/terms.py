"""What an item must meet, as far as a source can judge it before any byte."""

from mirrorset.pixels import PixelParams
from mirrorset.records import IntendedUse, Record


class Terms(Record):
    """intended_use decides which licences pass; files over max_bytes are refused.

    robots_agent: the lower-case name that robots.txt and X-Robots-Tag know us by.
    """

    intended_use: IntendedUse = "research"
    pixels: PixelParams = PixelParams()
    max_bytes: int = 100_000_000
    robots_agent: str = "mirrorset"
