"""Lists: filters (by field, and by JSON logic), search, sorting and pages."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlencode

from standin.call import Answer, Call
from standin.refusals import RefusedError, bad_request
from standin.state import User

T = TypeVar("T")
Fields = Mapping[str, Callable[[Any], Any]]

_PAGE_SIZE = 10
_LARGEST_PAGE = 500


def answered(
    call: Call,
    items: Iterable[T],
    fields: Fields,
    shown: Callable[[T], Any],
    search: Sequence[str] = (),
    order: str = "-id",
) -> Answer:
    """One page of what the query asks for. fields: how the terms of a filter read an item."""
    chosen = [item for item in items if _is_chosen(call.query, item, fields, search)]
    sort = call.query.get("sort", order)
    sort = sort if sort.lstrip("-") in fields else order
    if sort:
        chosen.sort(
            key=lambda item: _sortable(fields[sort.lstrip("-")](item)), reverse=sort.startswith("-")
        )
    return _page(call, chosen, shown)


def name_of(user: User | None) -> str | None:
    return None if user is None else user.username


def _page(call: Call, chosen: list[T], shown: Callable[[T], Any]) -> Answer:
    size = _number(call.query.get("page_size"), _PAGE_SIZE)
    size = min(size or _PAGE_SIZE, _LARGEST_PAGE)
    number = _number(call.query.get("page"), 1)
    first = (number - 1) * size
    if number < 1 or (number > 1 and first >= len(chosen)):
        raise RefusedError(404, {"detail": "Invalid page."})
    has_more = first + size < len(chosen)
    return Answer(
        {
            "count": len(chosen),
            "next": _address(call, number + 1) if has_more else None,
            "previous": _address(call, number - 1) if number > 1 else None,
            "results": [shown(item) for item in chosen[first : first + size]],
        }
    )


def _number(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        return 0


def _address(call: Call, page: int) -> str:
    query = {key: value for key, value in call.query.items() if key != "page"}
    query |= {"page": str(page)} if page > 1 else {}
    path = call.state.url + call.request.url.path
    return f"{path}?{urlencode(sorted(query.items()))}" if query else path


def _is_chosen(query: dict[str, str], item: Any, fields: Fields, search: Sequence[str]) -> bool:
    for name in query.keys() & {one for one in fields if one != "id" and not one.endswith("_date")}:
        if not _is_equal(fields[name](item), query[name]):
            return False
    if "search" in query:
        words = query["search"].lower()
        if not any(words in str(fields[name](item) or "").lower() for name in search):
            return False
    return _holds(_logic(query["filter"]), item, fields) if query.get("filter") else True


def _logic(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise bad_request([f"filter: can't parse filter expression: {error}"]) from None


def _holds(logic: Any, item: Any, fields: Fields) -> bool:
    """Whether a JSON logic expression is true of an item."""
    ((operator, values),) = logic.items()
    if operator in ("and", "or"):
        parts = (_holds(one, item, fields) for one in values)
        return all(parts) if operator == "and" else any(parts)
    if operator == "!":
        return not _holds(values[0] if isinstance(values, list) else values, item, fields)
    read = [_value(one, item, fields) for one in values]
    if operator == "==":
        return _is_equal(*read)
    if operator == "in":
        return _is_in(*read)
    if operator in (">=", ">", "<=", "<"):
        return all(_is_ordered(operator, left, right) for left, right in pairwise(read))
    raise bad_request([f"filter: {operator} operation with {values} arguments is not implemented"])


def _value(part: Any, item: Any, fields: Fields) -> Any:
    if isinstance(part, dict) and "var" in part:
        if part["var"] not in fields:
            raise bad_request([f"filter: term '{part['var']}' is not supported"])
        return fields[part["var"]](item)
    return part


def _is_equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if isinstance(left, datetime) or isinstance(right, datetime):
        return _moment(left) == _moment(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    return str(left) == str(right)


def _is_in(needle: Any, hay: Any) -> bool:
    if isinstance(hay, list):
        return any(_is_equal(needle, one) for one in hay)
    return str(needle).lower() in str(hay or "").lower()


def _is_ordered(operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if isinstance(left, datetime) or isinstance(right, datetime):
        left, right = _moment(left), _moment(right)
    if operator.endswith("=") and left == right:
        return True
    return bool(left > right if operator.startswith(">") else left < right)


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)
