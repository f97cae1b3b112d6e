"""What the lines of a run say about delegates: the one that was to run the model, and its share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from parity.logs.lines import Line
from parity.logs.records import Delegation

CPU = "CPU"
XNNPACK = "XNNPACK"
_FLEX = "Flex"
_EXTERNAL = "EXTERNAL"

_COUNTED = re.compile(
    r"(?P<before>.*?)(?P<nodes>\d{1,9}) nodes? delegated out of (?P<all>\d{1,9}) nodes?"
    r"(?:[,.]? *with (?P<partitions>\d{1,9}) partitions?)?",
    re.ASCII,
)
_NAME_BEFORE = re.compile(r"([\w-]+?)[ _]?(?:delegate)?\]?: *$", re.ASCII | re.IGNORECASE)
_REPLACED = re.compile(
    r"Replacing (?P<nodes>\d{1,9})(?: out of (?P<all>\d{1,9}))? node\(s\) with delegate "
    r"\((?P<name>[^)]*)\)(?: node)?(?:, yielding (?P<partitions>\d{1,9}) partitions?)?"
    r"(?: for subgraph (?P<subgraph>\d{1,9}))?",
    re.ASCII,
)
_APPLIED = re.compile(
    r"Explicitly applied (?P<name>\w+) delegate, and the model (?:graph )?will be "
    r"(?P<extent>completely|partially) executed by the delegate"
    r"(?: w/ (?P<partitions>\d{1,9}) delegate kernels?)?",
    re.ASCII,
)
_LEFT_OUT = re.compile(
    r"Though (?P<name>\w+) delegate is explicitly applied, the model (?:graph )?will not be"
)
_CREATED = re.compile(
    r"(?:Created TensorFlow Lite (?P<of>\w+) delegate for |Created TensorFlow Lite delegate for "
    r"(?P<name>[\w ]+?)\.|(?P<made>\w+) delegate created)"
)
_ASKED = re.compile(
    r"Use (?P<name>gpu|NNAPI|Hexagon|CoreML|xnnpack): \[(?:1|true)\]", re.IGNORECASE
)
_LIBRARY = re.compile(r"External delegate path: \[(?P<path>.+)\]")
_REFUSED = re.compile(
    r"(?:Restored original execution plan after delegate application failure"
    r"|Ignoring failed application of the (?!default))"
)
_INITIALISED = re.compile(r"Initializ(?:ing|ed) (?:\w+)-based API")
_ABSENT = re.compile(r"(?P<name>NPU|GPU) accelerator could not be loaded")
_ACCELERATORS = re.compile(r"Accelerators: +(?P<names>\w+(?: \| \w+)*)")
_WHOLE = re.compile(r"Fully accelerated: +(?P<is_whole>True|False)")

_ON_CPU = (XNNPACK, _FLEX, "")
# Names in logs, in lower case and without "TfLite" and "Delegate" → ours.
_NAMES = {
    "xnnpack": XNNPACK,
    "gpu": "GPU",
    "gpuv2": "GPU",
    "metal": "GPU",
    "litert_cl": "GPU",
    "litert_gl": "GPU",
    "litert_webgpu": "GPU",
    "litert_metal": "GPU",
    "nnapi": "NNAPI",
    "coreml": "CoreML",
    "qnn": "QNN",
    "hexagon": "Hexagon",
    "edgetpu": "EdgeTPU",
    "dispatch": "NPU",
    "flex": _FLEX,
    "select tf ops": _FLEX,
    "external": _EXTERNAL,
}


def delegation_of(lines: Iterable[Line]) -> Delegation:
    """What ran the model, from all that a run printed.

    Counts win over words, and an accelerator over XNNPACK, which takes what is left to the CPU.
    """
    told = _Told()
    for line in lines:
        told.hear(line.message)
    return told.concluded()


def litert_delegation(accelerators: tuple[str, ...], is_whole: bool | None) -> Delegation:
    """The delegation of a litert-benchmark run, from the accelerators asked for.

    is_whole: its "fully accelerated", which counts XNNPACK: it is true even of a machine without
    the accelerator, so it proves something only where one accelerator was allowed.
    """
    first = accelerators[0] if accelerators else CPU
    share = 1.0 if is_whole and len(accelerators) <= 1 else None
    if first == CPU:
        return Delegation(delegate=XNNPACK, share=share, runs_on=CPU)
    return Delegation(delegate=first, share=share, runs_on=first if share else "")


@dataclass
class _Counts:
    """What was said of one delegate. By subgraph: nodes, all nodes, partitions."""

    replaced: dict[str, tuple[int, int | None, int | None]] = field(default_factory=dict)
    counted: tuple[int, int, int | None] | None = None
    extent: str = ""
    partitions: int | None = None

    def delegation(self, name: str) -> Delegation:
        nodes, everything, partitions = self._sums()
        if self.extent == "none":
            nodes = 0
        share = 1.0 if self.extent == "completely" else None
        if nodes == 0:
            share = 0.0
        elif nodes is not None and everything:
            share = min(nodes / everything, 1.0)
        runs_on = name if nodes or self.extent else ""
        if name in _ON_CPU or nodes == 0:
            runs_on = CPU
        return Delegation(
            delegate=name,
            nodes=nodes,
            all_nodes=everything,
            share=None if share is None else round(share, 6),
            partitions=self.partitions if partitions is None else partitions,
            runs_on=runs_on,
        )

    def _sums(self) -> tuple[int | None, int | None, int | None]:
        if not self.replaced:
            return self.counted or (None, None, None)
        nodes, everything, partitions = zip(*self.replaced.values(), strict=True)
        return sum(nodes), _sum(everything), _sum(partitions)


def _sum(counts: tuple[int | None, ...]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class _Told:
    """Gathers what lines say, by delegate."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Counts] = {}
        self._library = ""
        self._accelerators: tuple[str, ...] = ()
        self._is_whole: bool | None = None
        self._is_refused = False
        self._is_initialised = False
        self._absent: set[str] = set()

    def hear(self, message: str) -> None:
        if found := _REPLACED.search(message):
            counts = int(found["nodes"]), _maybe(found["all"]), _maybe(found["partitions"])
            self._of(found["name"]).replaced[found["subgraph"] or ""] = counts
        elif "delegated out of" in message and (found := _COUNTED.match(message)):
            before = _NAME_BEFORE.search(found["before"])
            self._of(before[1] if before else _EXTERNAL).counted = (
                int(found["nodes"]),
                int(found["all"]),
                _maybe(found["partitions"]),
            )
        elif found := _APPLIED.search(message):
            counts_of = self._of(found["name"])
            counts_of.extent, counts_of.partitions = found["extent"], _maybe(found["partitions"])
        elif found := _LEFT_OUT.search(message):
            self._of(found["name"]).extent = "none"
        elif found := _CREATED.match(message):
            self._of(found["of"] or found["name"] or found["made"])
        elif found := _ASKED.match(message):
            self._of(found["name"])
        elif found := _LIBRARY.match(message):
            self._library = re.split(r"[/\\]", found["path"])[-1]
            self._of(_EXTERNAL)
        elif found := _ACCELERATORS.match(message):
            self._accelerators = tuple(found["names"].split(" | "))
        elif found := _WHOLE.match(message):
            self._is_whole = found["is_whole"] == "True"
        elif found := _ABSENT.match(message):
            self._absent.add(found["name"])
        self._is_refused = self._is_refused or bool(_REFUSED.search(message))
        self._is_initialised = self._is_initialised or bool(_INITIALISED.search(message))

    def concluded(self) -> Delegation:
        if self._accelerators:
            return self._litert()
        self._name_the_external()
        accelerators = {name: told for name, told in self._by_name.items() if name not in _ON_CPU}
        if not accelerators:
            name = XNNPACK if XNNPACK in self._by_name else ""
            return self._by_name.get(name, _Counts()).delegation(name)
        if self._is_refused:
            for told in accelerators.values():
                told.replaced, told.counted, told.extent = {}, None, "none"
        found = [told.delegation(name) for name, told in accelerators.items()]
        return max(found, key=lambda each: (bool(each.runs_on), each.nodes or 0, each.share or 0))

    def _litert(self) -> Delegation:
        said = litert_delegation(self._accelerators, self._is_whole)
        if said.delegate in self._absent:
            return said.model_copy(update={"nodes": 0, "share": 0.0, "runs_on": CPU})
        if said.delegate == "GPU" and self._is_initialised:
            return said.model_copy(update={"runs_on": "GPU"})
        return said

    def _name_the_external(self) -> None:
        """EXTERNAL stands for a delegate that may have said its own name."""
        external = self._by_name.pop(_EXTERNAL, None)
        if external is None:
            return
        named = [name for name in self._by_name if name not in (XNNPACK, "GPU", "NNAPI", "CoreML")]
        if not named:
            stem = self._library.removeprefix("lib").partition(".")[0]
            self._by_name[_known(stem) or _EXTERNAL] = external
            return
        told = self._by_name[named[0]]
        told.extent = told.extent or external.extent
        told.counted = told.counted or external.counted
        if told.partitions is None:
            told.partitions = external.partitions

    def _of(self, name: str) -> _Counts:
        return self._by_name.setdefault(_known(name) or _EXTERNAL, _Counts())


def _known(name: str) -> str:
    bare = re.sub(r"tflite|delegate|_?external|^lib", "", name.strip(), flags=re.IGNORECASE)
    bare = bare.strip(" _-") or ("external" if "external" in name.lower() else "")
    return _NAMES.get(bare.lower(), bare)


def _maybe(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
