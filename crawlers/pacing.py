"""When a host may be asked again: its Crawl-delay, and the times that it asked us to stay away."""

import asyncio
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Request.meta key: what to await before the request is sent.
TURN = "turn"

#: A pause asked for is lengthened by up to this share, so that many crawlers do not return as one.
_JITTER = 0.1


def retry_after_s(value: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); 0 where it is no such value.

    >>> retry_after_s("120", datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    >>> retry_after_s("Thu, 01 Jan 2026 00:01:00 GMT", datetime(2026, 1, 1, tzinfo=UTC))
    60.0
    """
    text = value.strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


class Pacer:
    """Keeps requests to a host apart, on top of the delays that Scrapy's AutoThrottle finds."""

    def __init__(self) -> None:
        self._next_at: dict[str, float] = {}

    async def turn(self, host: str, delay_s: float) -> None:
        """Wait until `host` may be asked; the next turn is `delay_s` after this one."""
        loop = asyncio.get_running_loop()
        while True:
            now, next_at = loop.time(), self._next_at.get(host, 0.0)
            if next_at <= now:
                break
            if delay_s:
                # The turn is booked, so that those who wait come one after the other.
                self._next_at[host] = next_at + delay_s
                await asyncio.sleep(next_at - now)
                return
            await asyncio.sleep(next_at - now)
        if delay_s:
            self._next_at[host] = now + delay_s

    def pause(self, host: str, wait_s: float) -> None:
        """Ask nothing of `host` for `wait_s` seconds and a little more."""
        until = asyncio.get_running_loop().time() + wait_s * (1 + random.uniform(0, _JITTER))  # noqa: S311
        self._next_at[host] = max(self._next_at.get(host, 0.0), until)
