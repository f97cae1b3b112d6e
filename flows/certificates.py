"""Orders of erasures that are under way, and the certificates of what they came to."""

from pathlib import Path

from pydantic import ValidationError

from mirrorset.erasure import Certificate, Order, Succession
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.markup import escaped


def folder_of(private: Path) -> Path:
    """Where they lie: nothing of it enters git or DVC."""
    return private / "erasures"


def read_order(private: Path, erasure_id: str) -> Order | None:
    """An order that was begun and is not done; None where there is none."""
    path = _order_file(private, erasure_id)
    try:
        return Order.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise InputError(
            f"{path} is no order of this version: end the erasure with the version that began it."
        ) from None


def write_order(private: Path, order: Order) -> None:
    """Keep an order, so that a kill does not end it."""
    write_text(_order_file(private, order.erasure_id), order.model_dump_json(indent=1) + "\n")


def read_certificate(private: Path, erasure_id: str) -> Certificate | None:
    """The certificate of an erasure; None where there is none."""
    path = certificate_file(private, erasure_id)
    return Certificate.model_validate_json(path.read_bytes()) if path.is_file() else None


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


def _order_file(private: Path, erasure_id: str) -> Path:
    return folder_of(private) / f"order-{erasure_id}.json"
