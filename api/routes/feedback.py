"""What users say of answers."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.dependencies import ApplicationDep, CallerDep
from api.error_table import caller_mistakes
from api.feedback import rated_answer
from api.request_model import RequestModel

router = APIRouter()

MAX_COMMENT_CHARS = 2000


class FeedbackRequest(RequestModel):
    """`POST /v1/feedback`; `turn` numbers the answers of the conversation from 1, None is the last.

    The rating "none" takes back what was said before.
    """

    conversation_id: str
    turn: Annotated[int | None, Field(ge=1)] = None
    rating: Literal["up", "down", "none"]
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""


class FeedbackModel(BaseModel):
    """What is kept; without an id nothing is."""

    object: Literal["feedback"] = "feedback"
    id: int | None
    conversation_id: str
    rating: Literal["up", "down", "none"]


@router.post("/v1/feedback", status_code=201)
def give_feedback(
    body: FeedbackRequest, application: ApplicationDep, caller: CallerDep
) -> FeedbackModel:
    """Say of an answer that it is good or bad; what was said of it before is replaced."""
    log = application.sessions.events(body.conversation_id, caller.sees)
    with caller_mistakes("turn"):
        answer = rated_answer(log, body.turn)
    rating = None if body.rating == "none" else body.rating
    number = application.feedback.give(body.conversation_id, answer, rating, body.comment)
    return FeedbackModel(id=number, conversation_id=body.conversation_id, rating=body.rating)
