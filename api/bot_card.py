"""The decision card of a turn on the wire: what `dialog.builder.decision_card` makes, as shown."""

from typing import Any, Literal, Self

from pydantic import BaseModel

from dialog.builder.decision_card import DecisionCard
from dialog.task.value_words import label


class SpanModel(BaseModel):
    """Characters of the user's words that a value was taken from."""

    start: int
    end: int
    slot: str


class CommandModel(BaseModel):
    """A command with its probability, the second best reading, and how it was to be grounded.

    `costs` are the expected costs in turns that were compared, by way of grounding.
    """

    text: str
    p: float
    runner_up: str
    source: str
    confirmation: str
    costs: dict[str, float]


class ChangeModel(BaseModel):
    """A slot before and after the turn, and the line of the bot file that declares it."""

    task: str
    slot: str
    before: str
    after: str
    status: str
    evidence: str
    source: str


class CallModel(BaseModel):
    """A call, where each argument came from, and how it ended."""

    text: str
    provenance: dict[str, str]
    outcome: str
    source: str


class PassageModel(BaseModel):
    """A passage of the documents."""

    title: str
    score: float


class ActModel(BaseModel):
    """An act of the reply, with the line of the bot file that brought it about."""

    text: str
    source: str
    reason: str


class CardModel(BaseModel):
    """`GET /v1/conversations/{id}/turns/{turn}`."""

    object: Literal["bot.card"] = "bot.card"
    turn: int
    user: str
    spans: list[SpanModel]
    commands: list[CommandModel]
    changes: list[ChangeModel]
    noticed: list[str]
    calls: list[CallModel]
    passages: list[PassageModel]
    rule: str
    lost: list[str]
    acts: list[ActModel]
    lines: list[str]
    wording: str
    cost: str
    reply: str

    @classmethod
    def of(cls, card: DecisionCard) -> Self:
        """Return a card as it is shown."""
        return cls(
            turn=card.turn,
            user=card.heard,
            spans=[
                SpanModel(start=one.span[0], end=one.span[1], slot=one.slot)
                for one in card.understood
                if one.span is not None
            ],
            commands=[
                CommandModel(
                    text=one.text,
                    p=one.p,
                    runner_up=one.others[0] if one.others else "",
                    source=one.source,
                    confirmation=one.confirmation,
                    costs=dict(one.costs),
                )
                for one in card.understood
            ],
            changes=[
                ChangeModel(
                    task=one.task,
                    slot=label(one.slot),
                    before=one.said_before or "empty",
                    after=one.said_after or "empty",
                    status=one.status,
                    evidence=one.evidence,
                    source=one.source,
                )
                for one in card.changes
            ],
            noticed=list(card.notices),
            calls=[
                CallModel(
                    text=one.text,
                    provenance=dict(one.provenance),
                    outcome=one.outcome,
                    source=one.source,
                )
                for one in card.calls
            ],
            passages=[_passage(dict(one)) for one in card.passages],
            rule=card.rule,
            lost=list(card.lost),
            acts=[_act(dict(act)) for act in card.acts],
            lines=list(card.lines),
            wording=card.wording,
            cost=card.cost,
            reply=card.said,
        )


def _passage(found: dict[str, Any]) -> PassageModel:
    titles = [str(one.get("title", "")) for one in found["citations"] if isinstance(one, dict)]
    return PassageModel(title=", ".join(titles) or "nothing near enough", score=found["score"])


def _act(act: dict[str, Any]) -> ActModel:
    about = act.get("slot") or act.get("key") or ", ".join(act.get("values", {}))
    return ActModel(
        text=f"{act['name']}({about})", source=act.get("source", ""), reason=act.get("reason", "")
    )
