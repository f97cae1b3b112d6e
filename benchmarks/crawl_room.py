"""The crawl room alone, without Prefect: `python benchmarks/crawl_room.py WORKSPACE`.

Crawls the workspace's one source into its catalogue, as `mirrorset crawl` does.
"""

import sys
from pathlib import Path

import yaml

from crawlers.order import CrawlOrder
from crawlers.run import crawl
from mirrorset.spool import ingest
from mirrorset.workspace import open_workspace

workspace = open_workspace(Path(sys.argv[1]))
section = yaml.safe_load(workspace.params_file.read_text())["crawl"]
(start,) = section.pop("sources")
order = {
    **section,
    "start": start,
    "intended_use": workspace.dataset.intended_use,
    "catalogue_url": workspace.settings.catalogue_url,
    "blobs_url": workspace.settings.blobs_url,
    "spool": workspace.spool,
    "log": workspace.logs / "crawl.log",
    "contact": "https://localhost/",
}
crawl(CrawlOrder(**{name: order[name] for name in order if name in CrawlOrder.model_fields}))
with workspace.catalogue() as catalogue:
    ingest(workspace.spool, catalogue)
