"""A server on this machine that sends what a web may send."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.rag.office_files import spreadsheet
from tests.rag.sample_files import WEB_PAGE, pdf

CYRILLIC = "<html><body><p>Привет, мир</p></body></html>".encode("koi8-r")
PAGES: dict[str, tuple[str, bytes]] = {
    "/bees": ("text/html; charset=utf-8", WEB_PAGE.encode()),
    "/cyrillic": ("text/html; charset=koi8-r", CYRILLIC),
    "/latin.txt": ("text/plain; charset=latin-1", "Größe ÿ".encode("latin-1")),
    "/paper": ("application/pdf", pdf(["Hello there."])),
    "/sheet": ("application/octet-stream", spreadsheet()),
    "/code.py": ("text/plain", b"def f():\n    pass\n"),
    "/picture": ("image/png", b"\x89PNG"),
    "/wrong": ("application/pdf", b"no PDF at all"),
    "/": ("text/plain", b"the start page"),
    "/gr%C3%B6%C3%9Fe": ("text/plain", b"the page of sizes"),
}


class Handler(BaseHTTPRequestHandler):
    num_asked = 0

    def do_GET(self) -> None:
        type(self).num_asked += 1
        path = self.path
        if path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", path[4:])
            self.end_headers()
        elif path in PAGES:
            kind, body = PAGES[path]
            self.head(200, kind, **{"Content-Length": str(len(body))})
            self.write(body)
        else:
            getattr(self, f"send_{path[1:].replace('-', '_')}", self.send_absent)()

    def send_absent(self) -> None:
        self.send_error(404)

    def send_slow_head(self) -> None:
        while self.write(b"H"):
            time.sleep(0.05)

    def send_endless(self) -> None:
        self.head(200, "text/plain")
        while self.write(b"x" * 65_536):
            pass

    def send_cut(self) -> None:
        self.head(200, "text/plain", **{"Content-Length": "100"})
        self.write(b"short")

    def send_bomb(self) -> None:
        self.head(200, "text/plain", **{"Content-Encoding": "gzip"})
        self.write(gzip.compress(b"x" * 50_000_000))

    def send_packed(self) -> None:
        self.head(200, "text/plain", **{"Content-Encoding": "gzip"})
        self.write(gzip.compress(b"packed words " * 20_000))

    def send_half_packed(self) -> None:
        self.head(200, "text/plain", **{"Content-Encoding": "gzip"})
        whole = gzip.compress(b"".join(b"word %d " % number for number in range(20_000)))
        self.write(whole[: len(whole) // 2])

    def send_unasked(self) -> None:
        self.send_response(304)
        self.end_headers()

    def send_umlaut(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/größe".encode().decode("latin-1"))  # sent as Latin-1
        self.end_headers()

    def send_odd(self) -> None:
        self.head(200, "text/plain", **{"Content-Encoding": "br"})

    def head(self, status: int, kind: str, **more: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            return False
        return True

    def send_drip(self) -> None:
        self.head(200, "text/plain", **{"Content-Length": "1000"})
        while self.write(b"x"):
            time.sleep(0.05)

    def send_moved(self) -> None:
        """Sends on to `/tagged` and has the same tag as that."""
        self.send_response(302)
        self.send_header("ETag", '"v1"')
        self.send_header("Location", "/tagged")
        self.end_headers()

    def send_tagged(self) -> None:
        if self.headers["If-None-Match"] == '"v1"' or self.headers["If-Modified-Since"]:
            self.send_response(304)
            self.end_headers()
            return
        self.head(
            200, "text/plain", ETag='"v1"', **{"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        )
        self.write(b"the first version")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[str]:
    """Serve while the context lasts; yields the beginning of all URLs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
