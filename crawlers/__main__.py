"""The room's own entry: `python -m crawlers ORDER.json` does one order, without any flow.

ORDER.json holds a `crawlers.order.CrawlOrder`. Its counts are printed as one JSON line.
"""

import sys
from pathlib import Path

from pydantic import ValidationError

from crawlers.order import CrawlOrder
from crawlers.run import crawl, crawl_here, recheck
from mirrorset.errors import InputError, MirrorsetError, first_fault
from mirrorset.masking import masked
from mirrorset.records import Record

_INTERRUPTED = 130


def main(order_path: Path) -> int:
    """Do the order; the exit status is that of the error, if there is one."""
    try:
        order = _read(order_path)
        if order.recheck:
            summary: Record = recheck(order)
        else:
            is_plain = order.shards == 1 and not order.is_dry_run
            summary = crawl_here(order) if is_plain else crawl(order)
    except MirrorsetError as error:
        sys.stderr.write(f"mirrorset: {masked(str(error))}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"mirrorset: {error.filename} cannot be used: {error.strerror}.\n")
        return InputError.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("mirrorset: Stopped; run it again to go on where it was.\n")
        return _INTERRUPTED
    sys.stdout.write(summary.model_dump_json() + "\n")
    return 0


def _read(order_path: Path) -> CrawlOrder:
    try:
        return CrawlOrder.model_validate_json(order_path.read_bytes())
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(f"{order_path}: {where or 'the file'}: {fault}.") from None
    except OSError as error:
        raise InputError(f"{order_path} cannot be read: {error.strerror}.") from None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m crawlers ORDER.json")
    sys.exit(main(Path(sys.argv[1])))
