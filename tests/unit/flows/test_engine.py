"""Which steps Prefect tries again, and what is noted of a run."""

from pathlib import Path

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Failed

import flows.annotate
import flows.qa
from annotation.cvat.connection import AnswerError
from crawlers.order import CrawlSummary
from flows.engine import _with_note, is_worth_a_retry, may_pass
from flows.run_notes import read_notes
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


def test_a_crawl_has_failed_where_every_source_has(tmp_path: Path) -> None:
    whole, away = CrawlSummary(stored=1), CrawlSummary(fault="It is away.")
    for found, noted in (
        ({"a": whole, "b": whole}, ("done", "")),
        ({"a": whole, "b": away}, ("done", "b: It is away.")),
        ({"a": away, "b": away}, ("failed", "a: It is away. b: It is away.")),
        ({}, ("done", "")),
    ):
        assert _with_note(tmp_path, "crawl", lambda found=found: found) == found
        last = next(read_notes(tmp_path))
        assert (last.state, last.fault) == noted
