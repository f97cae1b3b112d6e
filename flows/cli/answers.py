"""What every command prints with --json: its types, and the JSON Schema that is made from them.

docs/answers.json is that schema, for programs that read the answers; `python -m flows.cli.answers`
prints it, and a test holds the one against the other, so that no field is renamed or lost by
accident. No command imports this module, for it imports what they leave for later.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import FloatSchema

from annotation.cvat.project import Applied
from annotation.cvat.project import Difference as SchemaDifference
from annotation.prelabel import FolderSummary
from annotation.status import Status
from crawlers.order import CrawlSummary
from curation.convert import Conversion
from curation.costs import Costs
from curation.difference import Difference
from faces.registry import Model, State
from flows.annotate import EraseSummary, PullSummary, PushSummary
from flows.demo.summary import DemoSummary
from flows.doctor.findings import Finding
from flows.erase import Listing
from flows.judging import Held
from flows.overview import Overview
from flows.parity import Fleet, ParitySummary
from flows.prelabel import PrelabelSummary
from flows.qa import QaSummary
from flows.quarantine import Listed
from flows.release import Proposal, ReleaseSummary
from flows.report import Pages
from flows.serve import Serving
from flows.serving.approval import Asked
from flows.verify import VerifySummary
from mirrorset.erasure import Certificate
from mirrorset.receipts import Receipt
from mirrorset.records import Decision, ParityKey, Record, Sha256, Split
from parity.devices.fallback import Entry
from parity.forensics.records import Explanation
from parity.ingest import Fault
from parity.logs.records import BenchmarkRun
from parity.quantise import QuantisedModel
from parity.records import Comparison, Fed, NotRunnable, Purpose, ReviewState, RunNet


class Workspace(Record):
    workspace: str
    remote: str
    next: str


class Findings(Record):
    findings: list[Finding]


class Receipts(Record):
    receipts: list[Receipt]


class Exported(Record):
    exported: int
    file: str


class Decisions(Record):
    decisions: list[Decision]


class Sealed(Record):
    release: str
    version: str
    split: Split
    purpose: Purpose
    review_state: ReviewState
    item_count: int
    left_out_count: int
    digest: str


class Ran(Record):
    review_state: ReviewState
    fed: Fed
    nets: dict[str, RunNet]
    not_runnable: dict[str, NotRunnable]


class Entries(Record):
    entries: list[Entry]


class IngestedRun(Record):
    path: str
    is_new: bool
    images: int
    keys: dict[str, ParityKey]
    faults: list[Fault]


class IngestedLogs(Record):
    new: int
    extended: int
    known: int
    failed: int
    runs: list[BenchmarkRun]


class NothingDue(Record):
    images: list[Sha256]


class Address(Record):
    address: str


class ListedModel(Model):
    state: State


#: By the command's words after `mirrorset`.
ANSWERS: Mapping[str, Any] = {
    "init": Workspace,
    "demo": DemoSummary,
    "doctor": Findings,
    "status": Overview,
    "crawl": dict[str, CrawlSummary],
    "crawl receipts": Receipts | Exported,
    "verify-licences": VerifySummary,
    "prelabel": PrelabelSummary | FolderSummary,
    "quarantine list": Listed,
    "quarantine release": Decisions,
    "quarantine drop": Decisions,
    "quarantine history": Decisions,
    "annotate push": PushSummary,
    "annotate pull": PullSummary,
    "annotate listen": PullSummary,
    "annotate qa": QaSummary,
    "annotate status": Status,
    "annotate erase": EraseSummary,
    "annotate schema diff": SchemaDifference,
    "annotate schema apply": Applied,
    "release": ReleaseSummary | Costs,
    "release proposal": Asked,
    "release approve": Proposal,
    "release reject": Proposal,
    "release diff": Difference,
    "release convert": Conversion,
    "parity": ParitySummary,
    "parity pack": Sealed,
    "parity run": Ran,
    "parity compare": Comparison,
    "parity explain": Explanation,
    "parity quantise": QuantisedModel,
    "parity devices": Fleet | Entries,
    "parity verdict": Held,
    "parity ingest": IngestedRun,
    "parity ingest-log": IngestedLogs,
    "report": Pages,
    "view": Address,
    "serve": Serving,
    "erase": Certificate | Listing | NothingDue,
    "models list": dict[str, ListedModel],
    "models fetch": dict[str, str],
    "models verify": dict[str, State],
}


class _Generator(GenerateJsonSchema):
    """Of JSON Schema, where a figure that may be infinite is one or the text that stands for it."""

    def float_schema(self, schema: FloatSchema) -> JsonSchemaValue:
        made = super().float_schema(schema)
        if schema.get("allow_inf_nan", self._config.allow_inf_nan) is False:
            return made
        return made | {"type": ["number", "string"], "pattern": "^(-?Infinity|NaN)$"}


def schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) whose properties are the commands, each with what it prints."""
    mode: Literal["serialization"] = "serialization"
    inputs = [(words, mode, TypeAdapter(answer)) for words, answer in ANSWERS.items()]
    by_command, definitions = TypeAdapter.json_schemas(inputs, schema_generator=_Generator)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What mirrorset prints with --json, by command",
        "properties": {words: by_command[words, mode] for words in ANSWERS},
        **definitions,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n")
