"""Every section of params.yaml and the model that reads it."""

from annotation.batches import BatchParams
from annotation.prelabel import PrelabelParams
from annotation.qa import QaParams
from annotation.review import ReviewParams
from curation.gates import SelectParams
from curation.group import GroupParams
from curation.ledger import LedgerParams
from faces.identity import require_licensed
from flows.crawl import CrawlParams
from flows.serve_params import ServeParams
from mirrorset.errors import SettingsError
from mirrorset.params import DatasetParams, Responsible
from mirrorset.records import Record
from mirrorset.workspace import Workspace
from mirrorset.written_yaml import read_yaml
from parity.pack import PackParams
from parity.plan import ParityParams

READERS: dict[str, type[Record]] = {
    "dataset": DatasetParams,
    "responsible": Responsible,
    "crawl": CrawlParams,
    "prelabel": PrelabelParams,
    "annotate": BatchParams,
    "review": ReviewParams,
    "qa": QaParams,
    "select": SelectParams,
    "group": GroupParams,
    "ledger": LedgerParams,
    "pack": PackParams,
    "parity": ParityParams,
    "serve": ServeParams,
}

_NAMED_IN_DVC_YAML = ("dataset", "responsible", "select", "group", "pack", "parity")


def check_params(workspace: Workspace) -> None:
    """Read the whole of params.yaml.

    Raises SettingsError naming the first thing that is wrong, LicenceError where groups by identity
    are asked of a model that the intended use forbids.
    """
    for section, kind in READERS.items():
        workspace.params(section, kind)
    values = read_yaml(workspace.params_file) or {}
    for section in _NAMED_IN_DVC_YAML:
        if not isinstance(values.get(section), dict):
            raise SettingsError(
                f"{workspace.params_file} lacks the section {section!r}, which dvc.yaml looks "
                f"for: add `{section}: {{}}`."
            )
    if "name" not in values["dataset"]:
        raise SettingsError(f"{workspace.params_file}: dataset.name is missing: name the dataset.")
    identity = workspace.params("group", GroupParams).identity
    require_licensed(identity, workspace.dataset.intended_use)
