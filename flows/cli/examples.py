"""How commands are called: shown at the end of each one's --help, and in the documentation."""

from collections.abc import Mapping

import typer

#: By the command's words after `mirrorset`, what comes after these.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ("faces --remote /mnt/releases", "faces --remote s3://bucket/releases"),
    "demo": ("", "--home demo --portraits 20", "--offline"),
    "doctor": ("", "--json"),
    "status": ("", "--json"),
    "crawl": ("--dry-run", "", "--shards 4"),
    "crawl receipts": ("3f9ac01b", "--out receipts.jsonl"),
    "verify-licences": ("", "--all"),
    "prelabel": ("", "--workers 8", "--images pictures --out labels.jsonl"),
    "quarantine list": ("",),
    "quarantine release": ('3f9ac01b --by "Jane Doe" --reason "The page says born in 1956"',),
    "quarantine drop": ('3f9ac01b --by "Jane Doe" --reason "A school photograph"',),
    "quarantine history": ("", "3f9ac01b"),
    "annotate push": ("",),
    "annotate pull": ("",),
    "annotate listen": ("", "--port 8077 --every 900"),
    "annotate qa": ("", "--json"),
    "annotate status": ("", "--watch"),
    "annotate erase": ("3f9ac01b",),
    "annotate schema diff": ("",),
    "annotate schema apply": ("",),
    "release": ("--dry-run", "", "--version 1.2.0"),
    "release proposal": ("",),
    "release approve": ('331eafd485df30fa --by "Ada Example"',),
    "release reject": (
        '331eafd485df30fa --by "Ada Example" --reason "too few portraits in shade"',
    ),
    "release diff": ("1.1.0 1.2.0",),
    "release convert": ("1.2.0 coco --to coco", "1.2.0 tars --to webdataset --split train"),
    "parity": ("",),
    "parity pack": ("--out pack", "--chain smart_mirror --limit 200 --tar --out phone"),
    "parity run": (
        "--pack pack --out ours",
        "--pack pack --out mine --model mine.tflite --threads 2",
    ),
    "parity compare": ("--pack pack --candidate mine --out comparison.json",),
    "parity explain": ("--pack pack --candidate mine --out why",),
    "parity quantise": ("mine.tflite --recipe fp16 --out small.tflite",),
    "parity devices": ("", '--at "Pixel 8, Android 15, Tensor G3" --delegate GPU'),
    "parity verdict": ("",),
    "parity ingest": ("run.tar",),
    "parity ingest-log": (
        'bench.txt --model mine.tflite --device "Pixel 8, Android 15, Tensor G3"',
    ),
    "report": ("",),
    "view": ("", "--port 8080 --no-open"),
    "serve": ("", "--prefect-yaml"),
    "erase": ("--image-id 3f9ac01b --dry-run", '--author "Jane Doe"', "--due"),
    "models list": ("",),
    "models fetch": ("",),
    "models verify": ("",),
}


def add_examples(app: typer.Typer) -> None:
    """Let each command's --help end with its examples."""
    for words, info in _commands(app):
        examples = EXAMPLES.get(words, ())
        lines = [f"mirrorset {words} {each}".rstrip() for each in examples]
        if lines:
            # An empty line between them: else they are run together.
            info.epilog = "\n\n".join(["Examples:", *lines])


def _commands(
    app: typer.Typer, before: str = ""
) -> list[tuple[str, typer.models.CommandInfo | typer.models.TyperInfo]]:
    found: list[tuple[str, typer.models.CommandInfo | typer.models.TyperInfo]] = []
    for command in app.registered_commands:
        function = command.callback.__name__ if command.callback else ""
        found.append((f"{before}{command.name or function.replace('_', '-')}", command))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            found.append((f"{before}{group.name or group.typer_instance.info.name}", group))
            name = f"{before}{group.name or group.typer_instance.info.name} "
            found += _commands(group.typer_instance, name)
    return found
