"""`mirrorset parity`: seal a test set, run a model on it, judge what changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, get_args

import typer
from rich.console import Console

from flows.cli.app import HERE, Home, Json, show, working
from mirrorset.errors import GateError, SettingsError
from mirrorset.records import Split

if TYPE_CHECKING:
    from parity.forensics.records import Explanation

app = typer.Typer(
    help="Does the model on the device still do its job? Real images, never random noise.",
    invoke_without_command=True,
)

Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NET=]FILE",
        help="A .tflite file in place of the chain's; name the net where there are several.",
    ),
]
Pack = Annotated[
    Path | None, typer.Option(help="A sealed pack's folder; by itself, the current release's.")
]


@app.callback()
def parity(context: typer.Context, home: Home = HERE, is_json: Json = False) -> None:
    """Without a subcommand: run the current release's pack on every kernel and compare."""
    if context.invoked_subcommand is not None:
        # `mirrorset parity --home DIR run` means the same as `mirrorset parity run --home DIR`.
        context.default_map = {context.invoked_subcommand: {"home": home, "is_json": is_json}}
        return
    from flows.parity import parity as run

    with working(is_json, home):
        result = run(home)
    if not is_json:
        for path in result.comparisons.values():
            _print_table(path)
        _print_devices(result.devices, result.fallback)
    show(result, is_json, "Parity")
    if result.has_failed:
        raise GateError("A parity gate failed: the table says which, and by how much.")


@app.command()
def pack(
    release: Annotated[
        Path | None, typer.Argument(help="A release's folder; by itself, the workspace's current.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="The folder to seal into.")],
    split: Annotated[
        str | None, typer.Option(help="test, val or train; a pack of train calibrates alone.")
    ] = None,
    chain: Annotated[
        str | None, typer.Option(help="face_landmarks_detector, smart_mirror or a YAML file.")
    ] = None,
    model: Models = None,
    limit: Annotated[
        int | None, typer.Option(help="Items at most, of all slices; the same each time.", min=1)
    ] = None,
    is_unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Let labels judge that nobody has looked at.")
    ] = False,
    is_tar: Annotated[bool, typer.Option("--tar", help="Write OUT.tar beside the folder.")] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Seal a split of a release: pictures, tensors, reference outputs, labels, checksums."""
    from flows.progress import bar
    from flows.release_state import current_version
    from mirrorset.elsewhere import note
    from mirrorset.workspace import open_workspace
    from parity.chain import chain_file, load_chain
    from parity.pack import PackParams, open_pack, seal
    from parity.tar import tar_of, write_tar

    workspace = open_workspace(home)
    folder = release or workspace.release(workspace.dataset.name, current_version(workspace))
    params = workspace.params("pack", PackParams)
    described = chain_file(chain or params.chain)
    asked = {
        "split": split and _chosen("split", split, get_args(Split)),
        "chain": chain and str(described),
        "models": params.models | _of_nets(model, list(load_chain(described).nets)),
        "limit": limit,
        # Who declared the workspace's dataset unreviewed has said so of its releases.
        "is_unreviewed": is_unreviewed or (release is None and workspace.dataset.is_unreviewed),
    }
    params = params.model_copy(update={name: value for name, value in asked.items() if value})
    with working(is_json):
        progress = bar("seal")
        note(home, out)
        sealed = open_pack(seal(folder, out, params, workspace.settings.models, progress.step))
        if is_tar:
            note(home, tar_of(out))
            write_tar(out, tar_of(out))
    show(sealed.record.model_dump(include=_PACK_FIELDS), is_json, f"Sealed into {out}")


_PACK_FIELDS = {
    *("release", "version", "split", "purpose", "review_state"),
    *("item_count", "left_out_count", "digest"),
}


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="The folder that gets outputs and parity keys.")],
    pack: Pack = None,
    model: Models = None,
    kernel: Annotated[
        str, typer.Option(help="reference, optimised, xnnpack, xnnpack_fp16 or onnxruntime.")
    ] = "xnnpack",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    fed: Annotated[
        str,
        typer.Option(help="tensors: each net sees the pack's; images: the chain sees pictures."),
    ] = "tensors",
    is_input_kept: Annotated[
        bool, typer.Option("--keep-inputs", help="Keep the tensors that the nets got, too.")
    ] = False,
    is_untimed: Annotated[
        bool,
        typer.Option("--untimed", help="Use all processors at once: the same outputs, no times."),
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Run a chain on every item of a pack, on one kind of kernel."""
    from flows.progress import bar
    from mirrorset.elsewhere import note
    from mirrorset.settings import read_settings
    from parity.kernels import KERNELS
    from parity.models import model_files
    from parity.pack import open_pack
    from parity.records import Fed
    from parity.run import run as run_model

    with working(is_json):
        opened = open_pack(pack or _current_pack(home))
        note(home, out)
        progress = bar("run", total=opened.record.item_count)
        own = _of_nets(model, list(opened.chain.nets))
        result = run_model(
            opened,
            model_files(opened.chain, read_settings(home).models, own),
            _chosen("kernel", kernel, KERNELS),
            threads,
            out,
            fed=_chosen("fed", fed, get_args(Fed)),
            is_input_kept=is_input_kept,
            is_timed=not is_untimed,
            on_item=progress.step,
        )
    record = result.record
    show(
        record.model_dump(include={"review_state", "fed", "nets", "not_runnable"}),
        is_json,
        f"Ran into {out}",
    )
    if not record.nets:
        why = "; ".join(f"{net}: {one.reason}" for net, one in record.not_runnable.items())
        raise GateError(f"No model ran ({why}). {out} says so to comparisons.")


@app.command()
def compare(
    candidate: Annotated[Path, typer.Option(help="The run to judge.")],
    out: Annotated[Path, typer.Option(help="The file that gets the comparison, as JSON.")],
    pack: Pack = None,
    reference: Annotated[
        Path | None, typer.Option(help="The run to hold it against; by itself, the sealed one.")
    ] = None,
    candidate_pack: Annotated[
        Path | None, typer.Option(help="The pack that the candidate ran on, where it is another.")
    ] = None,
    gates: Annotated[Path | None, typer.Option(help="A YAML file of gates.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="A file for all tables.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="A file for a page with all tables and the worst images.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="A file for the aggregates, as `dvc metrics` reads them.")
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Judge one run against another; the exit code is 7 where a gate fails."""
    from mirrorset.elsewhere import note
    from parity.aggregates import write_aggregates
    from parity.both import Both
    from parity.compare import compare as compare_runs
    from parity.compare import write_comparison
    from parity.gates import gates_file, load_gates
    from parity.markdown import write_markdown
    from parity.pack import open_pack
    from parity.run import open_run, reference_of

    asked = [path.resolve() for path in (out, markdown, html, metrics) if path]
    if len(set(asked)) < len(asked):
        raise SettingsError(
            "--out, --markdown, --html and --metrics are four files: name each once."
        )
    opened = open_pack(pack or _current_pack(home))
    other = open_pack(candidate_pack) if candidate_pack else opened
    runs = open_run(reference) if reference else reference_of(opened), open_run(candidate)
    comparison = compare_runs(opened, *runs, load_gates(gates or gates_file(opened.chain)), other)
    write_comparison(out, comparison)
    if markdown:
        write_markdown(markdown, comparison)
    if metrics:
        write_aggregates(metrics, comparison)
    if html:
        from flows.judging import show_one

        note(home, html)
        show_one(Both(opened, *runs, other), out, html)
    if is_json:
        show(comparison, is_json, "")
    else:
        _print_table(out)
    if comparison.has_failed:
        raise GateError(f"A parity gate failed: {out} says which, and by how much.")


@app.command()
def explain(
    candidate: Annotated[Path, typer.Option(help="The run to explain.")],
    pack: Pack = None,
    model: Models = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder that gets explanation.json and the worst images, drawn."),
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Say where a run departs from the reference, in which part of it, by what, on which images.

    --model: the files that ran, where they are not the chain's own.
    """
    from mirrorset.elsewhere import note
    from mirrorset.settings import read_settings
    from parity.forensics.explain import explain as explain_run
    from parity.forensics.explain import keep, open_models
    from parity.models import model_files
    from parity.pack import open_pack
    from parity.run import open_run

    opened = open_pack(pack or _current_pack(home))
    ran = open_run(candidate)
    models = open_models(
        opened,
        ran,
        model_files(opened.chain, read_settings(home).models),
        _of_nets(model, list(opened.chain.nets)),
    )
    explanation = explain_run(opened, ran, models)
    if out is not None:
        note(home, out)
        explanation = keep(opened, ran, explanation, out)
    if is_json:
        show(explanation, is_json, "")
    else:
        _print_explanation(explanation)


T = TypeVar("T", bound=str)


def _chosen(option: str, given: str, choices: Sequence[T]) -> T:
    """The one of `choices` that was given. Raises SettingsError naming them."""
    for choice in choices:
        if choice == given:
            return choice
    raise SettingsError(f"--{option} {given} is none of {', '.join(choices)}.")


def _of_nets(given: Sequence[str] | None, nets: Sequence[str]) -> dict[str, Path]:
    """What was given as NET=FILE, or as FILE where there is one net, by net."""
    files = {}
    for one in given or ():
        net, equals, file = one.partition("=")
        if not equals and len(nets) > 1:
            raise SettingsError(
                f"--model {one} does not say which net it is: give NET={one} with NET one of "
                f"{', '.join(nets)}."
            )
        if equals and net not in nets:
            raise SettingsError(f"--model {one} names no net: there are {', '.join(nets)}.")
        files[net if equals else nets[0]] = Path(file or net)
    return files


@app.command()
def quantise(
    model: Annotated[Path, typer.Argument(help="A float .tflite file.")],
    recipe: Annotated[
        str, typer.Option(help="fp16, dynamic_int8, weight_only_int8 or static_int8.")
    ],
    out: Annotated[Path, typer.Option(help="The file that gets the variant.")],
    calibration: Annotated[
        Path | None, typer.Option(help="A pack of the training split, for static_int8.")
    ] = None,
    net: Annotated[
        str | None, typer.Option(help="Which net of the pack's chain the model is.")
    ] = None,
    is_json: Json = False,
) -> None:
    """Make a smaller variant of a model, to be judged like any other model."""
    from parity.pack import open_pack
    from parity.quantise import RECIPES, calibration_of
    from parity.quantise import quantise as make

    with working(is_json):
        samples = calibration_of(open_pack(calibration), net) if calibration else None
        made = make(model, _chosen("recipe", recipe, RECIPES), out, samples)
    show(made.model_dump(), is_json, f"Quantised into {out}")


@app.command()
def devices(
    pack: Pack = None,
    *,
    at: Annotated[
        str | None,
        typer.Option(help='Show what an app loads there: "Pixel 8, Android 15, Tensor G3".'),
    ] = None,
    delegate: Annotated[
        list[str] | None, typer.Option(help="With --at: a delegate that it can create there.")
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Say which models hold up on which device, and in what order an app tries them."""
    from flows.parity import devices as run
    from parity.devices.records import device_name
    from parity.devices.table import render, render_order

    if delegate and at is None:
        raise SettingsError("--delegate belongs to a place: name the device with --at.")
    with working(is_json, home):
        fleet = run(home, pack)
    if at is not None:
        place = device_name(at)
        entries = fleet.fallback.fitting(place.model, place.soc, delegate or ())
        if is_json:
            show({"entries": entries}, is_json, "")
        else:
            Console().print(render_order(fleet.fallback, entries))
        return
    if is_json:
        show(fleet, is_json, "")
    else:
        Console().print(render(fleet.table, fleet.fallback))


@app.command()
def verdict(
    pack: Pack = None, model: Models = None, home: Home = HERE, is_json: Json = False
) -> None:
    """Say what parity found of models on the current release, and whether that still holds.

    Of the models of params.yaml, or those given; the exit code is 7 where they failed or the
    verdict is stale.
    """
    from flows.judging import current_pack, standing_verdict
    from mirrorset.workspace import open_workspace
    from parity.pack import open_pack

    workspace = open_workspace(home)
    opened = open_pack(pack) if pack else current_pack(workspace)
    held = standing_verdict(workspace, opened, _of_nets(model, list(opened.chain.nets)))
    if is_json:
        show(held, is_json, "")
    else:
        known = held.model_dump(include={"release_digest", "review_state", "models"})
        show(known, is_json, f"Parity on {held.release} {held.version}")
        for one in held.judged:
            kernels = ", ".join(dict.fromkeys(one.kernels.values()))
            said = f"{one.standing.replace('_', ' ')} in {one.images} images"
            typer.echo(f"  {one.device}, {kernels}: {said}")
    if held.stale:
        raise GateError(
            f"The verdict is stale, for {' and '.join(held.stale)}: run `mirrorset parity`, or "
            "where devices sent runs `mirrorset parity devices`."
        )
    failed = [one for one in held.judged if one.standing in ("fail", "not_runnable")]
    if failed:
        raise GateError(
            f"These models failed in {len(failed)} of {len(held.judged)} places: "
            f"{failed[0].device}, {failed[0].reasons[0]}."
        )


def _current_pack(home: Path) -> Path:
    from flows.release_state import current_version
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(home)
    return workspace.pack(workspace.dataset.name, current_version(workspace))


def _print_devices(devices: Path, fallback: Path) -> None:
    from parity.devices.fallback import Fallback
    from parity.devices.records import DeviceTable
    from parity.devices.table import render

    table = DeviceTable.model_validate_json(devices.read_bytes())
    Console().print(render(table, Fallback.model_validate_json(fallback.read_bytes())))


def _print_explanation(explanation: "Explanation") -> None:
    from parity.forensics.table import render

    console = Console()
    for part in render(explanation):
        console.print(part)


def _print_table(comparison: Path) -> None:
    from parity.compare import read_comparison
    from parity.table import render

    console = Console()
    console.print(render(read_comparison(comparison)))
    console.print()
