"""Looking for the mark in a text. Its answer helps to remove or forge marks, so few may ask."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request

from api.dependencies import ApplicationDep, CallerDep
from api.error_table import RequestError, params_named
from api.rate_limit import TokenBuckets
from api.watermark_finder import MarkFinder
from api.watermark_request import DetectionModel, DetectRequest
from llm.errors import ConstraintError, UndecidableTextError

router = APIRouter()

BURST: Final = 30
PER_MINUTE: Final = 30


def new_buckets() -> TokenBuckets:
    """Return how often each caller may ask."""
    return TokenBuckets(burst=BURST, per_minute=PER_MINUTE)


def _finder(request: Request, caller: CallerDep, application: ApplicationDep) -> MarkFinder:
    if not caller.is_admin:
        raise RequestError(
            403,
            "looking for watermarks needs the admin key; send it as 'authorization: Bearer KEY'",
            type_="permission_error",
            code="admin_key_required",
        )
    if application.mark_finder is None:
        raise RequestError(
            404,
            "this service has no watermark key; start it with CAUSERIE_WATERMARK=on, or make one"
            " with 'python -m api watermark keygen'",
            code="no_watermark_key",
        )
    buckets: TokenBuckets = request.app.state.detections
    buckets.take(caller.owner)
    return application.mark_finder


@router.post("/v1/watermark/detect")
def detect_watermark(
    body: DetectRequest,
    application: ApplicationDep,
    finder: Annotated[MarkFinder, Depends(_finder)],
) -> DetectionModel:
    """Tell whether a text or a conversation carries the mark of one of the keys."""
    question = body.to_question()
    params: dict[type[Exception], str] = {
        ConstraintError: body.form_param,
        UndecidableTextError: "text" if body.messages is None else "messages",
    }
    with application.foreground.busy(), params_named(params):
        finding = finder.find(question)
    return DetectionModel.from_finding(finding, has_tokens=body.tokens)
