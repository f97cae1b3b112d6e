"""Which steps Prefect tries again."""

from prefect.client.schemas.objects import State
from prefect.states import Failed

import flows.annotate
import flows.qa
from flows.engine import is_worth_a_retry
from mirrorset.errors import OverdueError, UnavailableError


def failed(error: Exception) -> State:
    return Failed(data=error)


def test_a_step_that_waited_as_long_as_it_may_does_not_wait_again() -> None:
    assert is_worth_a_retry(None, None, failed(UnavailableError("The line dropped.")))
    assert not is_worth_a_retry(None, None, failed(OverdueError("It took too long.")))


def test_every_step_that_waits_for_a_cvat_server_heeds_that() -> None:
    for step in (flows.annotate.push_batch, flows.annotate.pull_batch, flows.qa.reopen):
        assert step.retry_condition_fn is is_worth_a_retry
