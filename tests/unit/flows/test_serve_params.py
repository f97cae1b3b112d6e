"""The section `serve`: what keeps its schedule, and what is refused before anything is served."""

from typing import Any

import pytest
from pydantic import ValidationError

from flows.serve_params import ServeParams, Step


def test_by_itself_all_is_scheduled_as_the_guide_says() -> None:
    params = ServeParams()
    assert (params.crawl.cron, params.pull.every_s, params.release.cron) == (
        "0 2 * * *",
        900,
        "0 6 * * 1",
    )
    assert params.verify.cron == "0 4 * * *"
    assert [params.prelabel, params.push, params.parity, params.erase_due] == [Step()] * 4
    assert params.is_approval_needed


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (None, Step(time_limit_s=7200)),
        ({"time_limit_s": 60}, Step(every_s=900, time_limit_s=60)),
        ({"cron": "0 * * * *"}, Step(cron="0 * * * *", time_limit_s=7200)),
        ({"every_s": 60}, Step(every_s=60, time_limit_s=7200)),
        ({}, Step(every_s=900, time_limit_s=7200)),
    ],
)
def test_a_step_keeps_what_is_not_said_of_it(given: Any, step: Step) -> None:
    assert ServeParams.model_validate({"pull": given}).pull == step


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crawl": {"cron": "at two"}}, 'is no cron expression: five fields, as in "0 2'),
        ({"crawl": {"cron": "0 2 * *"}}, "is no cron expression"),
        *(
            ({"verify": {"cron": cron}}, "is no cron expression")
            for cron in ("60 * * * *", "* * * * 8", "a b c d e", "*/0 * * * *", "R R * * *", "1#9")
        ),
        ({"verify": {"cron": "0 2 31 2 *"}}, '"0 2 31 2 [*]" never comes'),
        ({"pull": {"every_s": 1e300}}, "less than or equal to"),
        ({"time_zone": "posixrules"}, "is no time zone"),
        ({"pull": {"cron": "0 2 * * *", "every_s": 60}}, "give cron or every_s, not both"),
        ({"pull": {"every_s": 0.5}}, "greater than or equal to 1"),
        ({"pull": {"time_limit_s": 0}}, "greater than 0"),
        ({"pull": 900}, "valid dictionary or instance of Step"),
        ({"time_zone": "Berlin"}, 'is no time zone: write one as "Europe/Berlin"'),
        ({"time_zone": "../../etc/passwd"}, "is no time zone"),
        ({"webhook_port": 65536}, "less than or equal to 65535"),
        ({"report_port": 4200}, "report_port 4200 is another's, too"),
        ({"retries": -1}, "greater than or equal to 0"),
        ({"crawls": None}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ServeParams.model_validate(values)
