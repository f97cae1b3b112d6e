"""Every section of params.yaml and the model that reads it."""

import yaml

from annotation.batches import BatchParams
from annotation.prelabel import PrelabelParams
from annotation.review import ReviewParams
from curation.group import GroupParams
from curation.ledger import LedgerParams
from curation.select import SelectParams
from flows.crawl import CrawlParams
from flows.parity import ParityParams
from mirrorset.errors import SettingsError
from mirrorset.params import DatasetParams, Responsible
from mirrorset.records import Record
from mirrorset.workspace import Workspace
from parity.pack import PackParams

SECTIONS: dict[str, type[Record]] = {
    "dataset": DatasetParams,
    "responsible": Responsible,
    "crawl": CrawlParams,
    "prelabel": PrelabelParams,
    "annotate": BatchParams,
    "review": ReviewParams,
    "select": SelectParams,
    "group": GroupParams,
    "ledger": LedgerParams,
    "pack": PackParams,
    "parity": ParityParams,
}


def check_params(workspace: Workspace) -> None:
    """Read the whole of params.yaml. Raises SettingsError naming the first thing that is wrong."""
    for section, kind in SECTIONS.items():
        workspace.params(section, kind)
    unknown = sorted(set(yaml.safe_load(workspace.params_file.read_text()) or {}) - set(SECTIONS))
    if unknown:
        raise SettingsError(
            f"{workspace.params_file} has a section {unknown[0]!r} that nothing reads: "
            f"the sections are {', '.join(SECTIONS)}."
        )
