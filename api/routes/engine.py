"""What the engine tells of itself: as JSON for people, and in Prometheus' text format."""

from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from api.dependencies import ApplicationDep, EngineDep, MetricsDep
from api.engine_report import EngineStateModel

router = APIRouter()

# The oldest form of the text, which every scraper reads whatever else it would accept.
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/v1/engine/state")
async def get_engine_state(application: ApplicationDep, engine: EngineDep) -> EngineStateModel:
    """Tell what runs and waits, how full the cache is, and what has been counted."""
    return EngineStateModel.from_engine(
        application.chat_model.name, engine.state(), engine.statistics
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(registry: MetricsDep) -> Response:
    """Tell the same to Prometheus."""
    return Response(generate_latest(registry), headers={"content-type": _CONTENT_TYPE})
