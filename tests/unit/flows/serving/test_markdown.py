"""Words of others in tables and links stay words."""

from flows.serving.markdown import link, table, table_of


def test_a_table_of_counts() -> None:
    assert table_of({"stored": 3, "rejected.too_small": 1}).splitlines() == [
        "| what | count |",
        "| --- | --- |",
        "| stored | 3 |",
        r"| rejected.too\_small | 1 |",
    ]
    assert table_of({}) == "| what | count |\n| --- | --- |"


def test_a_cell_holds_no_markup_and_no_other_cell() -> None:
    (row,) = table(("name",), [["a|b\n| <img src=x> [x](javascript:1)"]]).splitlines()[2:]
    assert row == r"| a\|b \| \<img src=x\> \[x\](javascript:1) |"


def test_a_link_ends_where_its_address_does() -> None:
    assert link("task 1", "https://cvat.example.org:8080/tasks/1?a=b") == (
        "[task 1](https://cvat.example.org:8080/tasks/1?a=b)"
    )
    assert link("x](y)", "https://example.org/) [z](javascript:1 <b>") == (
        r"[x\](y)](https://example.org/%29%20[z]%28javascript:1%20%3Cb%3E)"
    )
