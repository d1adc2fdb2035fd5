"""Which parameter of a chat request an error is about, where only the request tells.

One exception class may come from several parameters: a schema that cannot be had from
`response_format`, `tools` or `causerie.grammar`. Also what cannot be asked without, or with, a
collection.
"""

from collections.abc import Mapping

from api.access import Caller
from api.chat_request import ChatCompletionRequest
from api.error_table import RequestError
from dialog.controlled_answer import check_has_evidence, is_controlled
from dialog.errors import UnknownConversationError
from dialog.reply import TurnRequest
from index.errors import UnknownCollectionError
from llm.errors import (
    ConstraintError,
    GrammarTooLargeError,
    HeadError,
    InvalidGrammarError,
    RefusedPairError,
    UnsupportedSchemaError,
)
from rag.errors import EmptyCollectionError


def params_at_fault(body: ChatCompletionRequest) -> Mapping[type[Exception], str]:
    """Return which parameter of this request an exception is about, by its class."""
    own = body.extension
    # A conversation brings its own collection.
    collection = "causerie.collection" if own.conversation is None else "causerie.conversation"
    params: dict[type[Exception], str] = {
        EmptyCollectionError: collection,
        UnknownCollectionError: collection,
        UnknownConversationError: "causerie.conversation",
        HeadError: _head_param(body),
    }
    if body.has_form:
        params |= dict.fromkeys(
            (GrammarTooLargeError, InvalidGrammarError, UnsupportedSchemaError), body.grammar_param
        )
    if (pair := _pair_param(body)) is not None:
        params[RefusedPairError] = pair
    return params


def check_may_choose_mark(body: ChatCompletionRequest, caller: Caller) -> None:
    """Refuse any mark but that of the service to whoever is no admin.

    Raises:
        RequestError: 403.
    """
    mark = body.extension.mark
    if mark in (None, "auto") or caller.is_admin:
        return
    raise RequestError(
        403,
        f"causerie.mark {mark!r} needs the admin key: answers could otherwise not be relied on to"
        " carry the mark; leave it out, or send 'auto'",
        param="causerie.mark",
        type_="permission_error",
        code="admin_key_required",
    )


def _pair_param(body: ChatCompletionRequest) -> str | None:
    """Return which parameter is one of a pair that the decoder refuses; the likeliest of several.

    The message names both.
    """
    own = body.extension
    for name in ("search", "speculation", "context_faithfulness"):
        if getattr(own, name) is not None:
            return f"causerie.{name}"
    return None


def _head_param(body: ChatCompletionRequest) -> str:
    """Return which parameter names heads and n-gram models; the first where several do."""
    own = body.extension
    for name in ("steer", "experts", "contrast"):
        if getattr(own, name) is not None:
            return f"causerie.{name}"
    return "causerie.speculation" if own.speculation is not None else "causerie.steer"


def check_against_collection(turn: TurnRequest, collection: str | None) -> None:
    """Refuse what has no meaning in a turn about this collection, or about none.

    Raises:
        RequestError: it names the parameter.
    """
    if collection is None:
        try:
            check_has_evidence(turn)
        except ConstraintError as error:
            name = "grammar" if turn.evidence_form is not None else "context_faithfulness"
            raise RequestError(
                400, f"causerie.{name}: {error}", param=f"causerie.{name}", code="collection_needed"
            ) from error
    elif turn.params.logprobs and not is_controlled(turn):
        raise RequestError(
            400,
            "logprobs and causerie.collection exclude each other: an answer from a collection is"
            " quoted, not drawn; leave one out, or control how it is decoded (docs/decoding.md)",
            param="logprobs",
            code="refused_pair",
        )
