"""The pages: static files with headers that let the browser run nothing but them."""

import mimetypes
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER: Final = Path(__file__).parent / "web"

_SERVED: Final = frozenset(
    {".css", ".html", ".ico", ".js", ".png", ".svg", ".webmanifest", ".woff2"}
)
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    # Kept, but asked about each time: an upgrade of the program shows at the next load.
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
}

# The tables of the operating system differ; modules need exactly this type.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/manifest+json", ".webmanifest")


class WebFiles(StaticFiles):
    """The files of `api/web/`; the base class does entity tags and `304 Not Modified`."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file of a kind that a page needs, or 404."""
        if Path(path).suffix not in _SERVED:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


_files = WebFiles(directory=FOLDER, check_dir=False)


async def _index(request: Request) -> Response:
    return await _files.get_response("index.html", request.scope)


async def _search(request: Request) -> Response:
    return await _files.get_response("search.html", request.scope)


async def _watermark(request: Request) -> Response:
    return await _files.get_response("watermark.html", request.scope)


async def _bots(request: Request) -> Response:
    return await _files.get_response("bots.html", request.scope)


routes: Final = [
    Route("/", _index, methods=["GET"]),
    Route("/search", _search, methods=["GET"]),
    Route("/watermark", _watermark, methods=["GET"]),
    Route("/bots", _bots, methods=["GET"]),
    Mount("/static", _files, name="static"),
]
