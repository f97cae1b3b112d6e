"""The spider of a re-check: it settles each item by a verdict on its receipt."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from scrapy import Request
from scrapy.http import Response

from crawlers.embedded import HEAD_BYTES, read_embedded
from crawlers.entries import entry_of
from crawlers.gatekeeper import HOST_FILES, PICTURE
from crawlers.items import Permit, Refusal, Settled, Statement, judge
from crawlers.recheck import (
    Checked,
    Recheck,
    has_changed,
    held,
    item_of,
    needs_bytes,
    no_picture,
    refused,
    renewed,
    statements,
)
from crawlers.source import Answer, Ask, Found
from crawlers.spider import CrawlSpider, receipt_headers
from mirrorset.catalogue.frontier import Entry, Kind, host_of
from mirrorset.records import Reason, Rejected, utc_now

# HEAD may be unspoken, or refused where GET is not; the rest may differ another day.
_ASK_BY_GET = [*(status for status in range(400, 500) if status not in (408, 425, 429)), 501]


class RecheckSpider(CrawlSpider):
    """Asks for what `Recheck` lists."""

    source: Recheck

    async def _begin(self, entry: Entry) -> AsyncIterator[Any]:
        if entry.kind != Kind.ITEM:
            async for outcome in super()._begin(entry):
                yield outcome
            return
        checked = Checked.model_validate(entry.content)
        if checked.refusal is not None:
            yield self._refused(entry, checked.refusal)
        elif not host_of(entry.url):
            # It was opened where its source read it.
            yield self._settled(entry, checked, None)
        elif needs_bytes(checked):
            yield self._first_bytes(entry, checked)
        else:
            yield self._head(entry, checked)

    def _settle_found(self, entry: Entry, answer: Answer, found: list[Found]) -> None:
        del answer  # Its ETag is of no use: the next re-check asks anew.
        told = [one for one in found if not isinstance(one, Ask)]
        self.frontier.settle_read(
            entry,
            followed=[entry_of(one) for one in found if isinstance(one, Ask)],
            items=[item_of(checked) for one in told if (checked := self.source.checked(one))],
            refused=[],
        )

    def _settle_refused(self, entry: Entry, refused: Rejected) -> None:
        self._settle_found(entry, Answer(entry.url), [refused])

    def _head(self, entry: Entry, checked: Checked) -> Request:
        return self._picture_get(entry, partial(self.on_head, entry, checked), {}).replace(
            method="HEAD",
            meta={
                PICTURE: True,
                "handle_httpstatus_list": _ASK_BY_GET,
                "redirect_times": entry.hops,
            },
        )

    def _first_bytes(self, entry: Entry, checked: Checked) -> Request:
        headers = {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
        return self._picture_get(entry, partial(self.on_first_bytes, entry, checked), headers)

    def on_head(
        self, entry: Entry, checked: Checked, response: Response
    ) -> Iterator[Request | Settled]:
        """The picture is there, and its headers allow its use."""
        if response.status >= 400 or has_changed(checked, receipt_headers(response)):
            yield self._first_bytes(entry, checked)
        else:
            yield self._settled(entry, checked, response)

    def on_first_bytes(
        self, entry: Entry, checked: Checked, response: Response
    ) -> Iterator[Request | Settled]:
        """What the file says of itself counts beside what its source says."""
        embedded = read_embedded(response.body)
        if embedded.mining_reserved_by:
            detail = f"The file's metadata says {embedded.mining_reserved_by}."
            yield self._refused(entry, Refusal(reason=Reason.OPT_OUT_TDM, detail=detail))
            return
        yield self._settled(entry, checked, response, *embedded.statements)

    def _judged(self, checked: Checked, *embedded: Statement) -> Permit | Refusal:
        return judge([*statements(checked), *embedded], self.order.intended_use)

    def _refused(self, entry: Entry, refusal: Refusal) -> Settled:
        days = self.order.recheck.quarantine_days if self.order.recheck else 0
        checked = Checked.model_validate(entry.content)
        return refused(entry, checked, refusal, utc_now(), timedelta(days=days))

    def _settled(
        self, entry: Entry, checked: Checked, response: Response | None, *embedded: Statement
    ) -> Settled:
        headers = {} if response is None else receipt_headers(response)
        host_files = {} if response is None else response.meta.get(HOST_FILES, {})
        found = no_picture(checked, headers) or self._judged(checked, *embedded)
        if isinstance(found, Refusal):
            return self._refused(entry, found)
        at = utc_now()
        crawler = self.order.user_agent
        sighting = renewed(checked.sighting, found, crawler, at, headers, host_files)
        return held(entry, checked, sighting, at)
