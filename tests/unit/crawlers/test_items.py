import pytest

from crawlers.items import Permit, Refusal, Statement, judge
from mirrorset.records import IntendedUse, Reason

BY_SA = "https://creativecommons.org/licenses/by-sa/4.0"
BY_NC = "https://creativecommons.org/licenses/by-nc/2.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/2.0/"


def judged(*texts: str, use: IntendedUse = "research") -> Permit | Refusal:
    return judge([Statement(read_from=f"field {n}", text=t) for n, t in enumerate(texts)], use)


@pytest.mark.parametrize(
    ("texts", "use", "reason"),
    [
        ((), "research", Reason.LICENCE_MISSING),
        (("", " "), "research", Reason.LICENCE_MISSING),
        (("All rights reserved",), "research", Reason.LICENCE_UNKNOWN),
        ((BY_ND,), "research", Reason.NO_DERIVATIVES),
        ((BY_NC,), "commercial", Reason.NON_COMMERCIAL),
        ((BY_SA, BY_ND), "research", Reason.NO_DERIVATIVES),
    ],
)
def test_statements_that_give_no_permit(
    texts: tuple[str, ...], use: IntendedUse, reason: Reason
) -> None:
    refusal = judged(*texts, use=use)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.detail.endswith(".")


def test_the_first_known_licence_is_the_permit() -> None:
    permit = judged("see below", BY_SA, "CC BY 3.0")
    assert isinstance(permit, Permit)
    assert (permit.licence.code, permit.licence.version) == ("CC-BY-SA", "4.0")
    assert permit.statement == Statement(read_from="field 1", text=BY_SA)


def test_noncommercial_allows_research() -> None:
    assert isinstance(judged(BY_NC), Permit)
