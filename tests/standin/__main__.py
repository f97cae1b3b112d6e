"""python -m standin: a stand-in to try things on by hand; prints its address and token."""

import argparse
import time

from standin.app import VERSION
from standin.server import standing_in


def main() -> None:
    parser = argparse.ArgumentParser(description="A CVAT server for tests, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--version", default=VERSION, help="the version it says it has")
    parser.add_argument("--paced", action="store_true", help="as slow as the recorded server")
    given = parser.parse_args()
    with standing_in(given.port, given.version) as server:
        server.pace(given.paced)
        print(f"MIRRORSET_CVAT_URL={server.url}", flush=True)
        print(f"MIRRORSET_CVAT_TOKEN={server.token}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
