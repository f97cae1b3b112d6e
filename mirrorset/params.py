"""params.yaml: one section a step, each read into the frozen model beside the step's function."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator

from mirrorset.errors import SettingsError, first_fault
from mirrorset.masking import holds_password
from mirrorset.records import DatasetName, IntendedUse, Record
from mirrorset.written_yaml import read_yaml

P = TypeVar("P", bound=Record)


class DatasetParams(Record):
    """What is being made, known to every step: the section `dataset`.

    name: part of the release's path and tag. intended_use decides which licences and which
    models' labels may enter. is_unreviewed declares that the test split may hold labels that no
    person has looked at; the release then says so everywhere. url: the page on which the dataset is
    described, for croissant.json. test_series: name of the frozen series of test images; another
    name begins a new one with the next release.
    """

    name: DatasetName = "faces"
    intended_use: IntendedUse = "research"
    is_unreviewed: bool = False
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    test_series: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,39}$")] = "1"


class Responsible(Record):
    """Who answers for the personal data: the section `responsible`, printed in every datasheet.

    controller: person or body that decides on purpose and means. legal_basis: for holding faces.
    contact: where a person asks for removal. retention_days: how long images are kept. All four
    must be stated before other people's servers are crawled.
    """

    controller: str = ""
    legal_basis: str = ""
    contact: str = ""
    retention_days: int | None = Field(default=None, ge=1)

    @field_validator("contact")
    @classmethod
    def _can_be_contacted(cls, contact: str) -> str:
        if contact and "@" not in contact and "://" not in contact:
            raise ValueError("give a mail address or a page's address")
        return contact


#: Every section that some step reads (flows/sections.py says with which model).
SECTIONS = frozenset(
    {
        *("dataset", "responsible", "crawl", "prelabel", "annotate", "review", "qa"),
        *("select", "group", "ledger", "pack", "parity", "serve"),
    }
)


def read_params(path: Path, section: str, kind: type[P]) -> P:
    """The section of `path` as `kind`; an absent section means the defaults.

    Raises SettingsError naming file, section and field where a value does not fit.
    """
    values = _read(path).get(section) or {}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        where, fault = first_fault(error)
        field = f"{section}.{where}" if where else section
        raise SettingsError(f"{path}: {field}: {fault}.") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_yaml(path) or {}
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist: run `mirrorset init {path.parent}` to make a workspace."
        ) from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold sections (`crawl:`, `select:`…), one a step.")
    if holds_password(str(values)):
        raise SettingsError(
            f"{path} holds an address with a password, where git and every release would keep it: "
            "remove it, and set what docs/security.md names in the environment."
        )
    if unknown := sorted(str(name) for name in values if name not in SECTIONS):
        raise SettingsError(
            f"{path} has a section {unknown[0]!r} that nothing reads: the sections are "
            f"{', '.join(sorted(SECTIONS))}."
        )
    return values
