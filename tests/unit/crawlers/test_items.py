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


@pytest.mark.parametrize(
    ("texts", "code", "read_from"),
    [
        ((BY_SA, "CC BY-SA 4.0"), "CC-BY-SA", "field 0"),
        (("CC BY 4.0", BY_SA), "CC-BY-SA", "field 1"),
        (("CC0", "CC BY 4.0"), "CC-BY", "field 1"),
        ((BY_SA, BY_NC, "CC BY 4.0"), "CC-BY-NC", "field 1"),
    ],
)
def test_the_most_restrictive_statement_is_the_permit(
    texts: tuple[str, ...], code: str, read_from: str
) -> None:
    permit = judged(*texts)
    assert isinstance(permit, Permit)
    assert (permit.licence.code, permit.statement.read_from) == (code, read_from)


@pytest.mark.parametrize("unknown", ["All rights reserved", "CC BY-NC-ND"])
def test_one_unknown_statement_refuses(unknown: str) -> None:
    for texts in ((BY_SA, unknown), (unknown, BY_SA)):
        refusal = judged(*texts)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.LICENCE_UNKNOWN
        assert unknown in refusal.detail


def test_noncommercial_allows_research() -> None:
    assert isinstance(judged(BY_NC), Permit)


def test_consent_is_stated_by_ones_own_consent_id_alone() -> None:
    stranger = judged("consented")
    assert isinstance(stranger, Refusal)
    assert stranger.reason is Reason.LICENCE_UNKNOWN
    own = judge([Statement(read_from="manifest.csv:consent_id=17", text="consented")], "commercial")
    assert isinstance(own, Permit)
    assert own.licence.code == "CONSENT"
