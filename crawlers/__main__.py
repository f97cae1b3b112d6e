"""The room's own entry: `python -m crawlers ORDER.json` does one order, without any flow.

ORDER.json holds a `crawlers.order.CrawlOrder`. Its counts are printed as one JSON line.
"""

import sys
from pathlib import Path

from pydantic import ValidationError

from crawlers.order import CrawlOrder
from crawlers.run import crawl, crawl_here, recheck
from mirrorset.errors import InputError, MirrorsetError, first_fault
from mirrorset.records import Record
from mirrorset.terminal import echo, echo_json

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
        echo(f"mirrorset: {error}", is_error=True)
        return error.exit_code
    except OSError as error:
        echo(f"mirrorset: {error.filename} cannot be used: {error.strerror}.", is_error=True)
        return InputError.exit_code
    except KeyboardInterrupt:
        echo("mirrorset: Stopped; run it again to go on where it was.", is_error=True)
        return _INTERRUPTED
    echo_json(summary.model_dump_json())
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
