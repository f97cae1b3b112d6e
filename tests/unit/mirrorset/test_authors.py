import pytest

from mirrorset.authors import names_nobody, plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane Doe", " jane\t DOE\n"),
        ("Jane\u00a0Doe", "Jane Doe"),
        ("Zo\u00eb", "ZOE\u0308"),
        ("Weiß", "WEISS"),
        ("Ａｄａ", "Ada"),
    ],
)
def test_writings_of_one_name(one: str, other: str) -> None:
    assert plain(one) == plain(other)


def test_other_names_stay_apart() -> None:
    assert len({plain(name) for name in ("Jane Doe", "JaneDoe", "Jane Dow", "Zoë", "Zoe")}) == 5


@pytest.mark.parametrize(
    "name",
    [
        "", "  ", "-", "?", "Unknown", "UNKNOWN", "unknown author", "Unknown authorUnknown author",
        "Unknown artist", "Unknown photographer.", "Author unknown", "Anonymous", "[anonymous]",
        "An unknown photographer", "Various authors", "not stated", "No author", "n/a", "None",
        "Unbekannt", "Anonyme", "佚名",
    ],
)  # fmt: skip
def test_nobody(name: str) -> None:
    assert names_nobody(name)


@pytest.mark.parametrize(
    "name",
    ["Ada", "Anon Ymous", "The Unknown Soldier", "Nona", "unknown_pleasures", "No", "🌸🌸", "無名"],
)
def test_somebody(name: str) -> None:
    assert not names_nobody(name)
