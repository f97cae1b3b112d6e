"""The spider of a re-check: it settles each item by a verdict on its receipt."""

from datetime import timedelta

from scrapy.http import Response

from crawlers.embedded import HEAD_BYTES, read_embedded
from crawlers.entries import entry_of
from crawlers.gatekeeper import HOST_FILES
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
from mirrorset.catalogue.frontier import Entry, host_of
from mirrorset.records import Reason, Rejected, utc_now

# HEAD may be unspoken, or refused where GET is not; the rest may differ another day.
_ASK_BY_GET = [*(status for status in range(400, 500) if status not in (408, 425, 429)), 501]


class RecheckSpider(CrawlSpider):
    """Asks for what `Recheck` lists."""

    source: Recheck

    async def _fetched(self, entry: Entry) -> Settled:
        checked = Checked.model_validate(entry.content)
        if checked.refusal is not None:
            return self._refused(entry, checked.refusal)
        if not host_of(entry.url):
            # It was opened where its source read it.
            return self._settled(entry, checked, None)
        if not needs_bytes(checked):
            request = self._picture_request(entry, {}).replace(method="HEAD")
            response = await self._download(request, _ASK_BY_GET)
            if response.status < 400 and not has_changed(checked, receipt_headers(response)):
                return self._settled(entry, checked, response)
        response = await self._picture_answer(entry, Range=f"bytes=0-{HEAD_BYTES - 1}")
        # What the file says of itself counts beside what its source says.
        embedded = read_embedded(response.body)
        if embedded.mining_reserved_by:
            detail = f"The file's metadata says {embedded.mining_reserved_by}."
            return self._refused(entry, Refusal(reason=Reason.OPT_OUT_TDM, detail=detail))
        return self._settled(entry, checked, response, *embedded.statements)

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
