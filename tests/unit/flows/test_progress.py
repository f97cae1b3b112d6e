"""Who else than a terminal is told how far a step is."""

from flows.progress import bar, told


def test_what_is_done_inside_is_told_once_its_whole_is_known() -> None:
    heard: list[tuple[str, int, int]] = []
    before = bar("before", total=1)
    with told(lambda *so_far: heard.append(so_far)):
        crawl, label = bar("crawl"), bar("label", total=2)
        crawl.to(1)
        crawl.to(2, 4)
        label.step()
        label.step("a callback's word")
        before.step()
    bar("after", total=1).step()
    assert heard == [("crawl", 2, 4), ("label", 1, 2), ("label", 2, 2)]
