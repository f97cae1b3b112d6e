"""Orders of erasures that are under way, and the certificates of what they came to."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mirrorset.erasure import Certificate, Order, Succession
from mirrorset.errors import InputError, IntegrityError
from mirrorset.files import write_text
from mirrorset.markup import escaped
from mirrorset.records import Record

R = TypeVar("R", bound=Record)


def folder_of(private: Path) -> Path:
    """Where they lie: nothing of it enters git or DVC."""
    return private / "erasures"


def read_order(private: Path, erasure_id: str) -> Order | None:
    """An order that was begun and is not done; None where there is none.

    Raises IntegrityError where its file is torn, InputError where another version wrote it.
    """
    return _read(_order_file(private, erasure_id), Order)


def open_orders(private: Path) -> Iterator[tuple[Path, Order | IntegrityError | InputError]]:
    """All orders that are not done, by their files; in place of one that cannot be read, why."""
    for path in sorted(folder_of(private).glob("order-*.json")):
        try:
            order = _read(path, Order)
        except (IntegrityError, InputError) as error:
            yield path, error
        else:
            if order is not None:
                yield path, order


def write_order(private: Path, order: Order) -> None:
    """Keep an order, so that a kill does not end it."""
    write_text(_order_file(private, order.erasure_id), order.model_dump_json(indent=1) + "\n")


def read_certificate(private: Path, erasure_id: str) -> Certificate | None:
    """The certificate of an erasure; None where there is none. Raises as `read_order`."""
    return _read(certificate_file(private, erasure_id), Certificate)


def close(private: Path, certificate: Certificate) -> Path:
    """Write the certificate, as JSON and to be read; where all is done, the order goes.

    Returns the file to be read.
    """
    path = certificate_file(private, certificate.erasure_id)
    write_text(path.with_suffix(".md"), in_words(certificate))
    write_text(path, certificate.model_dump_json(indent=1) + "\n")
    if certificate.is_complete:
        _order_file(private, certificate.erasure_id).unlink(missing_ok=True)
    return path.with_suffix(".md")


def certificate_file(private: Path, erasure_id: str) -> Path:
    """Where the certificate of an erasure lies, as JSON."""
    return folder_of(private) / f"certificate-{erasure_id}.json"


def in_words(certificate: Certificate) -> str:
    """The certificate as Markdown."""
    state = "Complete" if certificate.is_complete else "NOT complete"
    lines = [
        f"# Erasure {certificate.erasure_id}",
        "",
        f"{state}. Asked for by {escaped(certificate.asked)}; begun "
        f"{certificate.began_at:%Y-%m-%d %H:%M} UTC, ended "
        f"{certificate.ended_at:%Y-%m-%d %H:%M} UTC.",
        "",
        f"Images erased: {len(certificate.images)}, known from now on by keyed hashes alone:",
        "",
        *(f"- `{one}`" for one in certificate.images),
        "",
        "## Removed",
        "",
        "| place | what | how many |",
        "|---|---|---|",
        *(
            f"| {escaped(one.place)} | {escaped(one.name)} | {one.count} |"
            for one in certificate.removed
        ),
        "",
        "## Versions",
        "",
        *([_succession(one) for one in certificate.withdrawn] or ["No version held any of them."]),
        "",
        "## Not reached",
        "",
        *(
            [f"- {escaped(f'{one.place} {one.name}: {one.why}')}" for one in certificate.unreached]
            or ["Everything was reached."]
        ),
        "",
        "## What no erasure here reaches",
        "",
        *(f"- {one}" for one in certificate.notes),
    ]
    return "\n".join(lines) + "\n"


def _succession(one: Succession) -> str:
    if one.successor is None:
        return f"- {one.tag} is withdrawn, without a successor. {one.why}".rstrip()
    if one.why:
        return f"- {one.version} is still to be succeeded by {one.successor}. {one.why}"
    return f"- {one.tag} is withdrawn; its successor is {one.successor}."


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            raise InputError(
                f"{path} is of another version: end the erasure with the version that began it."
            ) from None
        raise IntegrityError(
            f"{path} is torn: restore it from a backup, or move it away and ask for the same "
            "erasure again."
        ) from None


def _order_file(private: Path, erasure_id: str) -> Path:
    return folder_of(private) / f"order-{erasure_id}.json"
