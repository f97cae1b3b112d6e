"""The crawl room alone, without Prefect: `python benchmarks/crawl_room.py WORKSPACE`.

Crawls the workspace's one source into its catalogue, as `mirrorset crawl` does.
"""

import sys
from pathlib import Path

import yaml

from crawlers.order import CrawlOrder
from crawlers.run import crawl
from mirrorset.workspace import open_workspace

workspace = open_workspace(Path(sys.argv[1]))
section = yaml.safe_load(workspace.params_file.read_text())["crawl"]
(start,) = section.pop("sources")
crawl(
    CrawlOrder(
        start=start,
        intended_use=workspace.dataset.intended_use,
        catalogue_url=workspace.settings.catalogue_url,
        blobs_url=workspace.settings.blobs_url,
        log=workspace.logs / "crawl.log",
        contact="https://localhost/",
        **section,
    )
)
