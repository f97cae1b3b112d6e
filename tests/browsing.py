"""A page in Chromium: what the browser says of it, and what axe-core finds."""

from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

HOSTILE = "<script>document.title = 'broken'</script><img src=https://example.org/x.png>"
SCHEMES = ("light", "dark")
#: A phone's and a desktop's, px.
WIDTHS = (390, 1280)


def open_page(browser: Browser, page: Path, complaints: list[str]) -> Page:
    """A tab with the file. complaints: gets errors, and addresses asked for that lie elsewhere."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "request", lambda request: _is_beside(request.url, page) or complaints.append(request.url)
    )
    tab.goto(page.as_uri())
    return tab


def barriers(tab: Page) -> Iterator[tuple[str, str]]:
    """Serious and critical findings of axe-core, each with the first element."""
    for one in Axe().run(tab).response["violations"]:
        if one["impact"] in ("serious", "critical"):
            yield one["id"], one["nodes"][0]["html"][:200]


def look(tab: Page, scheme: str, width: int) -> list[tuple[str, str]]:
    """The page anew on such a screen, all of it unfolded; its barriers. It fits the width."""
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.set_viewport_size({"width": width, "height": 844})
    tab.reload()
    tab.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    return list(barriers(tab))


def are_pictures_there(tab: Page, selector: str) -> bool:
    """Whether each image that the selector finds has been read, lazy or not."""
    every = f"[...document.querySelectorAll('{selector}')]"
    tab.evaluate(f"{every}.forEach((it) => {{ it.loading = 'eager' }})")
    until(tab, f"{every}.every((it) => it.complete)")
    return bool(tab.evaluate(f"{every}.length && {every}.every((it) => it.naturalWidth > 0)"))


def until(tab: Page, expression: str) -> None:
    """Wait until it is true.

    Playwright's `wait_for_function` has the page evaluate it, which our pages' policy forbids.
    """
    for _ in range(200):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"{expression} has not come true")


def _is_beside(url: str, page: Path) -> bool:
    return url.startswith(("data:", page.parent.as_uri()))
