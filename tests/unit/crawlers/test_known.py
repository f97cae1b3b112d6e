from pathlib import Path

import pytest

from crawlers.items import Refusal, rejected
from crawlers.known import settled_items
from mirrorset.errors import InputError
from mirrorset.records import Reason
from mirrorset.spool import write_shard


def test_listed_items_and_waiting_shards_are_settled(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("commons:1\ngallery:h.org/ä b.html\n", encoding="utf-8")
    lost = Refusal(reason=Reason.HTTP_ERROR, detail="503.", is_retryable=True)
    refused = Refusal(reason=Reason.ROBOTS, detail="No.")
    write_shard(
        tmp_path, [rejected("commons", "2", "", refused), rejected("commons", "3", "", lost)]
    )
    assert settled_items(known, tmp_path) == {"commons:1", "commons:2", "gallery:h.org/ä b.html"}


def test_nothing_is_settled_before_the_first_crawl(tmp_path: Path) -> None:
    assert settled_items(None, tmp_path / "absent") == frozenset()


def test_an_absent_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"known\.txt does not exist"):
        settled_items(tmp_path / "known.txt", tmp_path)
