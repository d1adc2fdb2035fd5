"""The HTTP service as a whole: its routes and middleware, as lists."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from api import web_page
from api.access import AccessMiddleware
from api.admission import Admission
from api.application import Application
from api.body_limit import BodyLimitMiddleware
from api.error_table import TABLE, RequestError, to_request_error
from api.metrics import registry_of
from api.routes import (
    bots,
    completions,
    conversations,
    documents,
    embeddings,
    engine,
    feedback,
    health,
    models,
    portable,
    stored_collections,
    tools,
    upkeep,
    uploads,
    versions,
    watermark,
)
from api.settings import Settings
from api.telemetry import TelemetryMiddleware
from api.version import VERSION

logger = logging.getLogger(__name__)

ROUTERS: Final[list[APIRouter]] = [
    health.router,
    models.router,
    completions.router,
    embeddings.router,
    stored_collections.router,
    documents.router,
    uploads.router,
    portable.router,
    upkeep.router,
    versions.router,
    conversations.router,
    feedback.router,
    bots.router,
    tools.router,
    engine.router,
    watermark.router,
]


def create_app(application: Application) -> FastAPI:
    """Return the service over these parts; it closes them when it ends.

    Raises:
        ConfigurationError: the settings would serve other machines without a key.
    """
    application.settings.require_safe_host()
    app = FastAPI(
        title="causerie",
        version=VERSION,
        routes=list(web_page.routes),
        middleware=_middleware(application.settings),
        lifespan=_lifespan,
        docs_url=None,  # the pages behind these load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.application = application
    settings = application.settings
    app.state.admission = Admission(settings.max_concurrent + settings.max_waiting)
    app.state.detections = watermark.new_buckets()
    app.state.metrics = (
        None
        if application.engine is None
        else registry_of(application.engine, application.call_counts)
    )
    for router in ROUTERS:
        app.include_router(router)
    for kind in (RequestError, RequestValidationError, HTTPException, *TABLE):
        app.add_exception_handler(kind, _answer_error)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Return the layers, the outermost first."""
    layers = [
        Middleware(TelemetryMiddleware),
        Middleware(AccessMiddleware, settings=settings),
        Middleware(
            BodyLimitMiddleware,
            max_body_bytes=settings.max_body_bytes,
            max_upload_bytes=settings.max_upload_bytes,
        ),
    ]
    if settings.allowed_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
        )
        layers.insert(1, cors)
    return layers


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await run_in_threadpool(app.state.application.close)


async def _answer_error(_request: Request, error: Exception) -> Response:
    answer = to_request_error(error)
    if answer.status >= 500 and answer.message != str(error):  # what is the operator's alone
        logger.error("%s: %s", type(error).__name__, error)
    return answer.to_response()
