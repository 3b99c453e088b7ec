"""Show the built book in a browser: python book/serve.py 8000."""

import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from steps import ROOT

PAGES = ROOT / "_build" / "html"


def main(argv: Sequence[str] | None = None, pages: Path = PAGES) -> int:
    port = (sys.argv[1:] if argv is None else argv)[0]
    try:
        place = ("localhost", int(port))
        server = ThreadingHTTPServer(
            place, partial(SimpleHTTPRequestHandler, directory=pages)
        )
    except (OSError, OverflowError, ValueError) as error:
        print(
            f"The book cannot be shown on port {port} ({error}): expected a free one"
            " of 1024 to 65535. Name another, as in  make serve PORT=8001",
            file=sys.stderr,
        )
        return 1
    address = f"http://localhost:{server.server_port}"
    print(f"The book is on {address}  (stop: Ctrl-C)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
