"""Which failed steps are tried again."""

import pytest
from prefect.states import Failed

from flows.annotate import pull_batch, push_batch
from mirrorset.errors import IntegrityError, UnavailableError


@pytest.mark.parametrize("step", [push_batch, pull_batch])
def test_what_was_waited_for_in_vain_is_not_waited_for_twice(step) -> None:
    is_worth_it = step.retry_condition_fn
    assert not is_worth_it(step, None, Failed(data=UnavailableError("It is down.")))
    assert is_worth_it(step, None, Failed(data=IntegrityError("It holds something else.")))
