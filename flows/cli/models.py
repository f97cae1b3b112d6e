"""`mirrorset models`: which weights there are, fetched and verified."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from flows.cli.app import HERE, Home, Json, show
from mirrorset.errors import IntegrityError, MirrorsetError, SettingsError, UnavailableError
from mirrorset.terminal import Terminal

if TYPE_CHECKING:
    from faces.registry import Model

app = typer.Typer(
    help="The weight files that labels are made with: what they are, whether they are here.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Names from `mirrorset models list`; none means all.")
]


@app.command("list")
def list_models(home: Home = HERE, is_json: Json = False) -> None:
    """Say what each weight file measures, under which licence, and whether it is here."""
    from faces.registry import load_registry, verify
    from mirrorset.settings import read_settings

    cache = read_settings(home).models
    rows = [(model, verify(model, cache)) for model in load_registry().values()]
    if is_json:
        show(
            {model.name: {**model.model_dump(), "state": state} for model, state in rows},
            is_json,
            "",
        )
        return
    table = Table("model", "measures", "licence", "commercial use", "MB", "state", box=None)
    for model, state in rows:
        table.add_row(
            model.name,
            model.role,
            model.licence,
            "yes" if model.is_commercial_use_allowed else "no",
            f"{model.size_bytes / 1e6:.1f}",
            state,
        )
    console = Terminal()
    console.print(table)
    console.print()
    console.print(f"Kept in {cache}.", soft_wrap=True, highlight=False)


@app.command()
def fetch(names: Names = None, home: Home = HERE, is_json: Json = False) -> None:
    """Fetch weight files and verify their sha256; what is here already is not fetched again.

    One that cannot be had keeps no other back.
    """
    from faces import registry
    from mirrorset.settings import read_settings

    cache = read_settings(home).models
    fetched: dict[str, str] = {}
    failed: dict[str, MirrorsetError] = {}
    for model in _chosen(names):
        try:
            fetched[model.name] = str(registry.fetch(model, cache))
        except (UnavailableError, IntegrityError) as error:
            failed[model.name] = error
    show(fetched, is_json, "Fetched and verified")
    if failed:
        kind = type(next(iter(failed.values())))
        raise kind("; ".join(f"{error} {_needed_by(name)}" for name, error in failed.items()))


@app.command()
def verify(names: Names = None, home: Home = HERE, is_json: Json = False) -> None:
    """Check the sha256 of the weight files that are here; a damaged one is an error."""
    from faces import registry
    from mirrorset.settings import read_settings

    cache = read_settings(home).models
    states = {model.name: registry.verify(model, cache) for model in _chosen(names)}
    show(states, is_json, "Weight files")
    damaged = [name for name, state in states.items() if state == "damaged"]
    if damaged:
        raise IntegrityError(
            f"{', '.join(damaged)} in {cache} is damaged: run `mirrorset models fetch`."
        )


def _needed_by(name: str) -> str:
    from faces.profiles import PROFILES
    from parity.chain import chain_file, load_chain, shipped_chains

    users = [profile for profile, parts in PROFILES.items() if name in parts.models]
    users += [
        f"the parity chain {chain}"
        for chain in shipped_chains()
        if any(net.net == name for net in load_chain(chain_file(chain)).nets.values())
    ]
    return f"Needed by: {', '.join(users) or 'the gates of every profile'}."


def _chosen(names: list[str] | None) -> "list[Model]":
    from faces.registry import load_registry

    models = load_registry()
    unknown = [name for name in names or [] if name not in models]
    if unknown:
        raise SettingsError(
            f"There is no model {unknown[0]!r}: `mirrorset models list` names the {len(models)}."
        )
    return [models[name] for name in names or models]
