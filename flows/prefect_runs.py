"""What Prefect keeps of runs: parameters, messages of failures and results."""

from typing import Any

from mirrorset.erasure import Gone, Removed, Unreached

_PLACE = "Prefect"
_AT_ONCE = 200


def erase(gone: Gone, is_dry_run: bool = False) -> tuple[list[Removed], list[Unreached]]:
    """Remove the flow runs and stored results that mention one of the images.

    A flow's parameters and the message of its failure may name an image; its tasks and log go with
    it. Results are looked for in the storage of this machine.
    """
    # Prefect reads its settings when it is imported.
    import flows.engine  # noqa: F401, I001
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            runs = _runs_about(client, gone)
            if not is_dry_run:
                for run_id in runs:
                    client.delete_flow_run(run_id)
    except Exception as error:
        # Prefect's client raises those of its transport.
        words = " ".join(str(error).split()) or type(error).__name__
        why = f"Its server does not answer ({words}): run the same again when it does."
        return _results(gone, is_dry_run), [Unreached(place=_PLACE, name="runs", why=why)]
    found = [Removed(place=_PLACE, name="runs", count=len(runs))] if runs else []
    return found + _results(gone, is_dry_run), []


def _runs_about(client: Any, gone: Gone) -> list[Any]:
    """Ids of the flow runs that mention one of the images, themselves or by a task."""
    found = set()
    for read, own in ((client.read_flow_runs, "id"), (client.read_task_runs, "flow_run_id")):
        offset = 0
        while page := read(sort="ID_DESC", limit=_AT_ONCE, offset=offset):
            found |= {getattr(run, own) for run in page if _is_about(run, gone)}
            offset += len(page)
    return sorted(one for one in found if one is not None)


def _is_about(run: Any, gone: Gone) -> bool:
    said = run.model_dump_json().encode()
    if gone.is_in(said):
        return True
    # Commands take the first digits of an id, too.
    given = getattr(run, "parameters", {}).get("images", ())
    starts = [one for one in given if isinstance(one, str) and one]
    return any(image_id.startswith(one) for one in starts for image_id in gone.image_ids)


def _results(gone: Gone, is_dry_run: bool) -> list[Removed]:
    from prefect.settings import get_current_settings

    storage = get_current_settings().results.local_storage_path
    if not storage.is_dir():
        return []
    held = [one for one in storage.rglob("*") if one.is_file() and gone.is_in(one.read_bytes())]
    if not is_dry_run:
        for file in held:
            file.unlink()
    return [Removed(place=_PLACE, name="results", count=len(held))] if held else []
