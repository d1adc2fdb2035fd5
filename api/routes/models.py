"""The models that requests can name: the chat model, the embedding model, then the bots."""

import time
from typing import Annotated

from fastapi import APIRouter, Path

from api.application import Application
from api.bot_service import PREFIX
from api.dependencies import ApplicationDep
from api.error_table import RequestError, shown
from api.schemas import ModelInfo, ModelList

router = APIRouter()

_STARTED = int(time.time())


@router.get("/v1/models")
async def list_models(application: ApplicationDep) -> ModelList:
    """List the models."""
    return ModelList(data=[ModelInfo(id=name, created=_STARTED) for name in names(application)])


@router.get("/v1/models/{model:path}")
async def get_model(
    model: Annotated[str, Path(description="The model's name.")], application: ApplicationDep
) -> ModelInfo:
    """Return one model."""
    if model not in names(application):
        raise unknown_model(model, names(application))
    return ModelInfo(id=model, created=_STARTED)


def names(application: Application) -> list[str]:
    """Return what requests can call the models."""
    return [application.chat_model.name, application.embedder.name, *bot_names(application)]


def bot_names(application: Application) -> list[str]:
    """Return what chat requests can call the bots."""
    bots = application.bots.bots() if application.bots is not None else []
    return [f"{PREFIX}{bot.name}" for bot in bots]


def unknown_model(name: str, available: list[str]) -> RequestError:
    """Return the 404 that names the models there are."""
    return RequestError(
        404,
        f"no model here is called {shown(name)}; there is {' and '.join(map(repr, available))}",
        param="model",
        code="model_not_found",
    )
