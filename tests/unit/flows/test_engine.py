"""Which steps Prefect tries again."""

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Failed

import flows.annotate
import flows.qa
from annotation.cvat.connection import AnswerError
from flows.engine import is_worth_a_retry, may_pass
from mirrorset.errors import (
    GateError,
    MirrorsetError,
    OverdueError,
    SettingsError,
    UnavailableError,
)


def failed(error: Exception) -> State:
    return Failed(data=error)


def test_a_step_that_waited_as_long_as_it_may_does_not_wait_again() -> None:
    assert is_worth_a_retry(None, None, failed(UnavailableError("The line dropped.")))
    assert not is_worth_a_retry(None, None, failed(OverdueError("It took too long.")))
    # The schedule's own back-off is minutes.
    assert may_pass(None, None, failed(OverdueError("It took too long.")))


@pytest.mark.parametrize(
    "error",
    [
        MirrorsetError("`dvc repro` failed: no image to release."),
        SettingsError("No such setting."),
        GateError("It was not approved."),
        AnswerError("It answered with 403.", 403, None),
        TimeoutError("Out of time."),
        TypeError("A bug."),
    ],
)
def test_what_a_person_has_to_mend_is_not_tried_again(error: Exception) -> None:
    assert not may_pass(None, None, failed(error))
    assert not is_worth_a_retry(None, None, failed(error))


def test_a_server_in_trouble_is_asked_again() -> None:
    assert may_pass(None, None, failed(AnswerError("It answered with 503.", 503, None)))


def test_every_step_that_waits_for_a_cvat_server_heeds_that() -> None:
    for step in (flows.annotate.push_batch, flows.annotate.pull_batch, flows.qa.reopen):
        assert step.retry_condition_fn is is_worth_a_retry
