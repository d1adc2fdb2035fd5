"""`POST /v1/watermark/detect` on the wire: what is asked, and what is answered."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from api.error_table import RequestError, caller_mistakes
from api.form_request import GrammarRequest, schema_of
from api.request_model import Content, RequestModel
from api.settings import SchemeName, StatisticName
from api.watermark_finder import ALPHA, Finding, Question, ReplyFinding
from api.watermark_words import sentence
from llm.decoding.grammar_spec import MAX_WHITESPACE, GrammarSpec

_MOST_MESSAGES = 1000


class DetectMessage(RequestModel):
    """A message of a conversation; only those of the assistant are looked at."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None


class DetectRequest(RequestModel):
    """Where a mark is looked for; exactly one of `text` and `messages` is sent.

    `schema` is spelt `reply_schema` here, since models of the library have a `schema` already.
    """

    text: str | None = None
    messages: Annotated[list[DetectMessage], Field(max_length=_MOST_MESSAGES)] | None = None
    scheme: SchemeName | None = None
    statistic: StatisticName | None = None
    key: str | None = None
    grammar: GrammarRequest | None = None
    reply_schema: dict[str, Any] | bool | None = Field(default=None, alias="schema")
    whitespace: int = Field(default=0, ge=0, le=MAX_WHITESPACE)
    search: bool = False
    weighted: bool = False
    tokens: bool = False

    @model_validator(mode="after")
    def _check_one(self) -> "DetectRequest":
        if (self.text is None) == (self.messages is None):
            raise ValueError("send exactly one of text and messages")
        if self.grammar is not None and self.reply_schema is not None:
            raise ValueError("send one of schema and grammar, not both")
        return self

    def to_question(self) -> Question:
        """Return what the finder takes.

        Raises:
            RequestError: the schema cannot be one, or does not go with the rest.
        """
        form = self._form()
        param = self.form_param if form is not None else "search"
        if self.statistic is not None and self.scheme != "synthid":
            param = "statistic"
        with caller_mistakes(param):
            return Question(
                replies=self._replies(),
                scheme=self.scheme,
                key=self.key,
                form=form,
                is_search=self.search,
                is_weighted=self.weighted,
                statistic=self.statistic,
            )

    @property
    def form_param(self) -> str:
        """The name of the parameter that says what the reply was held to."""
        return "schema" if self.grammar is None else "grammar"

    def _form(self) -> GrammarSpec | None:
        if self.reply_schema is not None:
            return schema_of(self.reply_schema, param="schema", max_whitespace=self.whitespace)
        if self.grammar is None:
            return None
        if self.grammar.evidence_form is not None:
            raise RequestError(
                400,
                f"grammar.{self.grammar.evidence_form} is made of the evidence of a turn, which is"
                " not part of this request; send the lark grammar of its passages, or leave it out",
                param="grammar",
                code="invalid_value",
            )
        return self.grammar.grammar(max_whitespace=self.whitespace, param="grammar")

    def _replies(self) -> tuple[str, ...]:
        if self.text is not None:
            return (self.text,)
        return tuple(m.content or "" for m in self.messages or () if m.role == "assistant")


class TokenModel(BaseModel):
    """A token: how much it speaks for the mark, in standard deviations, and whether it counts.

    `reply` is the number of the reply that it is in.
    """

    text: str
    evidence: float
    counted: bool
    reply: int


class ReplyModel(BaseModel):
    """One reply by itself; `passage` is where the mark was found in a search."""

    p_value: float
    log10_p_value: float
    z_score: float
    num_tokens: int
    num_scored: int
    passage: str | None = None


class DetectionModel(BaseModel):
    """What was found."""

    object: Literal["watermark.detection"] = "watermark.detection"
    detected: bool
    p_value: float
    log10_p_value: float
    false_positive_rate: float = ALPHA
    sentence: str
    scheme: str
    key: str
    key_id: str
    num_scored: int
    num_tests: int
    z_score: float | None
    replies: list[ReplyModel]
    tokens: list[TokenModel] | None = None

    @classmethod
    def from_finding(cls, finding: Finding, *, has_tokens: bool) -> "DetectionModel":
        """Return what is answered."""
        return cls(
            detected=finding.is_detected,
            p_value=finding.p_value,
            log10_p_value=_log10(finding.log_p_value),
            sentence=sentence(finding),
            scheme=finding.scheme,
            key=finding.key,
            key_id=finding.key_id,
            num_scored=finding.num_scored,
            num_tests=finding.num_tests,
            z_score=None if finding.z_score is None else round(finding.z_score, 4),
            replies=[_reply(one, is_search=finding.is_search) for one in finding.replies],
            tokens=_tokens(finding) if has_tokens else None,
        )


def _reply(reply: ReplyFinding, *, is_search: bool) -> ReplyModel:
    return ReplyModel(
        p_value=math.exp(reply.log_p_value),
        log10_p_value=_log10(reply.log_p_value),
        z_score=round(reply.z_score, 4),
        num_tokens=len(reply.pieces),
        num_scored=reply.num_scored,
        passage="".join(reply.pieces[reply.start : reply.stop]) if is_search else None,
    )


def _tokens(finding: Finding) -> list[TokenModel]:
    return [
        TokenModel(text=piece, evidence=round(evidence, 4), counted=counted, reply=number)
        for number, reply in enumerate(finding.replies)
        for piece, evidence, counted in zip(
            reply.pieces, reply.evidence, reply.is_counted, strict=True
        )
    ]


def _log10(log_p_value: float) -> float:
    return round(log_p_value / math.log(10), 4)
