"""Stored conversations: opened, listed, read, deleted. Turns come through the chat route."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.dependencies import ApplicationDep, CallerDep
from api.schemas import (
    ConversationList,
    ConversationModel,
    ConversationRequest,
    ConversationWithMessages,
    Deleted,
    messages_of,
)
from dialog.session import unknown_conversation

router = APIRouter()

ConversationId = Annotated[str, Path(description="The conversation's id.")]


@router.post("/v1/conversations", status_code=201)
def create_conversation(
    body: ConversationRequest, application: ApplicationDep, caller: CallerDep
) -> ConversationModel:
    """Open a conversation over a collection, or a plain chat."""
    if body.collection is not None:
        application.store.info(body.collection)
    info = application.sessions.create(
        owner=caller.owner, collection=body.collection, title=body.title or ""
    )
    return ConversationModel.from_info(info)


@router.get("/v1/conversations")
def list_conversations(application: ApplicationDep, caller: CallerDep) -> ConversationList:
    """List the caller's conversations, the one last used first."""
    infos = application.sessions.list(caller.sees)
    return ConversationList(data=[ConversationModel.from_info(info) for info in infos])


@router.get("/v1/conversations/{conversation_id}")
def get_conversation(
    conversation_id: ConversationId, application: ApplicationDep, caller: CallerDep
) -> ConversationWithMessages:
    """Return a conversation with its messages."""
    log = application.sessions.events(conversation_id, caller.sees)
    ratings = application.feedback.ratings(conversation_id)
    for info in application.sessions.list(caller.sees):
        if info.id == conversation_id:
            head = ConversationModel.from_info(info)
            return ConversationWithMessages(**head.model_dump(), messages=messages_of(log, ratings))
    raise unknown_conversation(conversation_id)  # deleted since the line above


@router.delete("/v1/conversations/{conversation_id}", response_model_exclude_none=True)
def delete_conversation(
    conversation_id: ConversationId, application: ApplicationDep, caller: CallerDep
) -> Deleted:
    """Remove a conversation and everything said in it."""
    if application.bots is not None and application.bots.knows(conversation_id):
        application.bots.delete(conversation_id, caller.sees)
    else:
        application.sessions.delete(conversation_id, caller.sees)
    if application.runs is not None:
        application.runs.forget(conversation_id)
    application.feedback.forget(conversation_id)
    return Deleted(id=conversation_id, object="conversation")
