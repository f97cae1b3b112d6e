"""How long a host asks us to wait."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(value: str, now: datetime) -> float:
    """Seconds from `now` (aware) that a Retry-After header asks for, in seconds or as an HTTP date.

    0 where it says neither, or names a moment that has passed (RFC 9110, 10.2.3).

    >>> retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", datetime(2015, 10, 21, 7, 27, tzinfo=UTC))
    60.0
    """
    stated = value.strip()
    if stated.isdecimal():
        return float(stated)
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, OverflowError):
        return 0.0
    # "-0000" leaves the zone open; HTTP knows only GMT.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
