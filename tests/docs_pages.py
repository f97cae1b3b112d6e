"""The documentation's pages and the commands in them."""

import re
from pathlib import Path

from flows.cli.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def _script(page: Path) -> str:
    """A page's commands, in its order; params that it shows go into the file."""
    lines = []
    for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            lines.append(text)
        if language == "yaml" and page.name.startswith("hour-"):
            lines.append(_MERGED.format(text))
    return "".join(lines)


_MERGED = """\
python - <<'END'
import pathlib, yaml
file = pathlib.Path("params.yaml")
params = yaml.safe_load(file.read_text()) | yaml.safe_load('''{}''')
file.write_text(yaml.safe_dump(params))
END
"""

#: The examples of each --help, which the page of commands is made of.
CALLED = [
    f"mirrorset {words} {call}".rstrip() for words, calls in EXAMPLES.items() for call in calls
]
#: By the page's name all its commands.
SCRIPTS = {page.name: script for page in PAGES if (script := _script(page))}
