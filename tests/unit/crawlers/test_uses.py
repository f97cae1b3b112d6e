from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.uses import is_reserving, opt_out_tag, refused_use, robots_tag

AGENT = "mirrorset"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFUSING = st.sampled_from(["noai", "noimageai", "noml", "noindex", "noimageindex", "none"])
SILENT = st.sampled_from(["all", "nofollow", "max-snippet: 3", "max-image-preview:large", "noodp"])


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([], ""),
        (["all"], ""),
        (["max-image-preview: large, noarchive"], ""),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow, noindex"], "noindex"),
        (["none"], "none"),
        (["noml"], "noml"),
        (["noimageindex"], "noimageindex"),
        (["mirrorset: noai"], "noai"),
        (["MirrorSet: nofollow, noai"], "noai"),
        (["mirrorset/1.0: noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noai, noindex"], ""),
        (["otherbot: noai", "noindex"], "noindex"),
        (["otherbot: noai, nofollow, mirrorset: noindex"], "noindex"),
        (["mirrorset: nofollow, otherbot: noindex"], ""),
        (["max-snippet: 3, noimageai"], "noimageai"),
        (["noarchive; noai"], "noai"),
        (["noarchive noai"], "noai"),
        (["otherbot: noindex; mirrorset: noai"], "noai"),
        (["max-image-preview: none"], ""),
        (["max-image-preview:none noai"], "noai"),
        (["noai: true"], "noai"),
    ],
)
def test_robots_tag_directives_that_concern_us_refuse(values: list[str], word: str) -> None:
    assert robots_tag(values, AGENT, NOW) == word


@pytest.mark.parametrize(
    "date",
    [
        "25 Jun {year} 15:00:00 PST",
        "Fri, 25 Jun {year} 15:00:00 +0200",
        "Friday, 25-Jun-{short} 15:00:00 GMT",
        "25-Aug-{year} 15:00:00 EST",
        "{year}-06-25",
        "{year}-06-25T15:00:00Z",
        "{year}-06-25T15:00:00+02:00",
        "{year}-06-25 15:00:00 UTC",
    ],
)
def test_unavailable_after_refuses_from_its_date_on(date: str) -> None:
    past, future = (date.format(year=f"20{short}", short=short) for short in ("10", "40"))
    assert robots_tag([f"unavailable_after: {past}"], AGENT, NOW) == "unavailable_after"
    assert robots_tag([f"unavailable_after: {future}"], AGENT, NOW) == ""
    assert robots_tag([f"unavailable_after: {future}, noai"], AGENT, NOW) == "noai"
    assert robots_tag([f"otherbot: unavailable_after: {past}, noai"], AGENT, NOW) == ""
    assert robots_tag([f"otherbot: unavailable_after: {past}; mirrorset: noai"], AGENT, NOW)


def test_an_unreadable_date_refuses() -> None:
    assert robots_tag(["unavailable_after: soon"], AGENT, NOW) == "unavailable_after"
    assert robots_tag(["unavailable_after: 99 Jun 2040 25:00"], AGENT, NOW) == "unavailable_after"


@given(st.lists(st.text(max_size=60), max_size=4))
def test_robots_tag_reads_anything(values: list[str]) -> None:
    assert robots_tag([*values, "noai"], AGENT, NOW) != ""


@given(
    st.sampled_from(["otherbot", "googlebot", "mirror", "mirrorset-x"]),
    st.lists(REFUSING | SILENT, min_size=1),
)
def test_another_agents_directives_never_refuse(other: str, directives: list[str]) -> None:
    assert robots_tag([f"{other}: {', '.join(directives)}"], AGENT, NOW) == ""


@given(
    REFUSING,
    st.lists(SILENT),
    st.sampled_from(["", "mirrorset: ", "*: ", "otherbot: noai, mirrorset: "]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from([" ", "\t", "  "]),
)
def test_ours_refuse_whatever_case_and_blanks(
    word: str, silent: list[str], agent: str, cased: object, blank: str
) -> None:
    assert callable(cased)
    value = cased(agent + ", ".join([*silent, word])).replace(" ", blank)
    assert robots_tag([f"{blank}{value}{blank}"], AGENT, NOW) == word


@pytest.mark.parametrize(
    ("values", "use"),
    [
        (["search=yes, ai-train=no"], "ai-train"),
        (["train-ai=n"], "train-ai"),
        (["Train-AI = N"], "train-ai"),
        (["train-ai=y, search=y"], ""),
        (["train-ai=y", "train-ai=n"], "train-ai"),
        (["train-ai=y;exceptions=n"], ""),
        (['train-ai="n"'], "train-ai"),
        (["ai-train=?0"], "ai-train"),
        (["ai-train=?1"], ""),
        (["ai-train=conditional"], "ai-train"),
        (["tdm=n"], "tdm"),
        (["use=reference"], ""),
        (["train-ai"], ""),
        ([""], ""),
    ],
)
def test_a_use_that_is_not_allowed_is_denied(values: list[str], use: str) -> None:
    assert refused_use(values) == use


@pytest.mark.parametrize("value", [1, "1", " 1 ", 2, "2", True, 1.0, "yes", "1, 0"])
def test_doubtful_reservations_reserve(value: object) -> None:
    assert is_reserving(value)


@pytest.mark.parametrize("value", [0, "0", False, 0.0, None, ""])
def test_zero_does_not_reserve(value: object) -> None:
    assert not is_reserving(value)


@pytest.mark.parametrize(
    "tag",
    [
        *("no_cv", "nocv", "No CV", "NO-CV", "noai", "no-ai", "#noai", "no ai training", "noml"),
        *("ai:training=no", "AI:Training = No", 'ml:use="never"', "tdm:reservation=1", "cv:use=n"),
    ],
)
def test_tags_of_owners_opt_out(tag: str) -> None:
    assert opt_out_tag(["portrait", tag, "lisbon"]) == tag


@pytest.mark.parametrize(
    "tag",
    [
        *("portrait", "nocvs", "airport", "casino ai", "ai", "ai:training=yes", "ai:generated=no"),
        *("tdm:reservation=0", "geo:lat=0", "camera:flash=no", "", "::=", "no"),
    ],
)
def test_other_tags_say_nothing(tag: str) -> None:
    assert opt_out_tag([tag]) == ""


@given(st.lists(st.text()))
def test_any_tags_are_read(tags: list[str]) -> None:
    assert opt_out_tag([*tags, "no_cv"]) in [*tags, "no_cv"]
