"""The seam between where pictures are listed and how they are fetched.

A source says what to ask for and reads what comes back; it does no input or output of its own over
the network, so recorded answers test all of it. The spider asks, waits, retries, obeys the hosts'
rules, fetches what the source found and keeps it; every `Ask` and `Candidate` waits in the frontier
meanwhile, so that a kill loses none.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from crawlers.items import Candidate
from crawlers.terms import Terms
from mirrorset.records import Record, Rejected


class Ask(Record):
    """A listing (names items or further listings) or a page (of items) to be asked for.

    url: http(s) is fetched; any other scheme is not, and `read` gets an empty answer: the source
    opens it by itself. is_api: a documented API, whose own terms hold instead of robots.txt.
    body: sent by POST where it is not empty. source_item_id: the item that a page stands for, under
    which it is refused where it cannot be had. carried: JSON that `read` finds again. It and the
    url are kept in a database: credentials are added by `Source.signed`, never here.
    """

    url: str
    kind: Literal["listing", "page"] = "listing"
    is_api: bool = False
    body: str = ""
    source_item_id: str = ""
    carried: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back. url: after redirects. headers: lower-case names, values joined by ", "."""

    url: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class BusyError(Exception):
    """The answer says "later": the same is asked again after wait_s seconds."""

    def __init__(self, said: str, wait_s: float) -> None:
        super().__init__(said)
        self.wait_s = wait_s


class SourceStart(Record):
    """What the section of any source in params.yaml may say, beside its own fields.

    shows_author: the pictures that it finds show their own author, as a search for selfies does: of
    one author, they lie in one split.
    """

    shows_author: bool = False


#: What reading brings to light, in the order in which it is to be considered.
Found = Ask | Candidate | Rejected

S = TypeVar("S", bound=SourceStart)


class Source(ABC, Generic[S]):
    """One place where pictures are listed; `start` is its section of params.yaml."""

    name: ClassVar[str]
    #: Listings that one run asks for; those beyond are left out, as the log says.
    max_listings: int = 1_000_000

    def __init__(self, start: S, terms: Terms) -> None:
        self.start = start
        self.terms = terms

    @property
    @abstractmethod
    def title(self) -> str:
        """What is crawled, in words that tell two starts of one source apart ("commons selfie")."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The address that the crawl begins at: whether it is one's own decides who must answer."""

    @abstractmethod
    def begin(self) -> Iterable[Ask]:
        """The first listings."""

    @abstractmethod
    def read(self, ask: Ask, answer: Answer) -> Iterable[Found]:
        """What an answer holds: a successful one, or 404 or 410 to a page of an API.

        Raises BusyError where it says "later", UnavailableError where it cannot be read, InputError
        where a file cannot.
        """

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask | None:
        """What tells today's licence of an item that was seen before; None: only its picture can.

        `read` then brings the item's Candidate, or its Rejected, under the same id.
        """
        del source_item_id, page_url, image_url
        return None

    def login(self) -> Ask | None:
        """What must be asked before anything else, or after a 401 (a token); None: nothing."""
        return None

    def logged_in(self, answer: Answer) -> None:
        """Take what `login` brought. Raises UnavailableError where it is refused."""

    def signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """The address and headers to send `ask` with, credentials included.

        Raises SettingsError where the credentials are missing.
        """
        return ask.url, {}
