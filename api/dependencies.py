"""What routes ask for, as annotated types."""

from typing import Annotated

from fastapi import Depends, Path, Request
from prometheus_client import CollectorRegistry

from api.access import Caller
from api.admission import Admission
from api.application import Application, InspectableEngine
from api.bot_service import BotService
from api.error_table import RequestError


def _application(request: Request) -> Application:
    application: Application = request.app.state.application
    return application.of_tenant(_caller(request).tenant)


def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


def _engine(request: Request) -> InspectableEngine:
    engine = _application(request).engine
    if engine is None:
        raise _no_engine()
    return engine


def _bots(request: Request) -> BotService:
    bots = _application(request).bots
    if bots is None:
        raise RequestError(404, "this service runs no bots", code="no_bots")
    return bots


def _metrics(request: Request) -> CollectorRegistry:
    registry: CollectorRegistry | None = request.app.state.metrics
    if registry is None:
        raise _no_engine()
    return registry


def _no_engine() -> RequestError:
    return RequestError(
        404,
        "the chat model of this service tells nothing of an engine; serve one of"
        " 'python -m api models list' to see its state",
        code="no_engine",
    )


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _admin(request: Request) -> Caller:
    caller = _caller(request)
    if not caller.is_admin:
        raise RequestError(
            403,
            "deleting collections and documents needs the admin key; send it as"
            " 'authorization: Bearer KEY'",
            type_="permission_error",
            code="admin_key_required",
        )
    return caller


ApplicationDep = Annotated[Application, Depends(_application)]
AdmissionDep = Annotated[Admission, Depends(_admission)]
BotsDep = Annotated[BotService, Depends(_bots)]
EngineDep = Annotated[InspectableEngine, Depends(_engine)]
MetricsDep = Annotated[CollectorRegistry, Depends(_metrics)]
CallerDep = Annotated[Caller, Depends(_caller)]
AdminOnly = Depends(_admin)
CollectionName = Annotated[str, Path(description="The collection's name.")]
DocumentId = Annotated[str, Path(description="The document's id.")]
