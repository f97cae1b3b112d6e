from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.pacing import retry_after_s

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 01 May 2026 12:01:30 GMT", 90),
        ("Fri, 01 May 2026 12:01:30 -0000", 90),
        ("Fri, 01 May 2026 14:01:30 +0200", 90),
        ("Friday, 01-May-26 12:01:30 GMT", 90),
        ("Fri, 01 May 2026 11:00:00 GMT", 0),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Fri, 01 May 99999999999 12:00:00 GMT", 0),
    ],
)
def test_both_forms_are_read(value: str, wait_s: float) -> None:
    assert retry_after_s(value, NOW) == wait_s


@given(st.text())
def test_no_header_raises(value: str) -> None:
    assert retry_after_s(value, NOW) >= 0


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9000)))
def test_a_date_is_waited_for(wait: timedelta) -> None:
    moment = (NOW + wait).replace(microsecond=0)
    header = format_datetime(moment, usegmt=True)
    assert retry_after_s(header, NOW) == (moment - NOW).total_seconds()
