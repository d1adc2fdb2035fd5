"""What users said of answers: kept with the answer, reviewed, and then questions of a set.

A thumb up on an answer says that what it cites is right, on an abstention that there is no answer;
a thumb down says only that something is wrong, and whoever reviews it says what would be right.
Nothing here is logged: it is what users wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from api.errors import FeedbackError
from api.evaluation_tables import feedback
from dialog.events import ConversationOpened, SystemUttered, UserUttered
from dialog.session import StoredEvent
from index.database import reading, writing
from llm.chat import Message
from rag.evaluation_set import EvaluationItem, Relevant

Rating = Literal["up", "down"]
Status = Literal["new", "accepted", "rejected"]

KIND = "feedback"
_NUM_BEFORE = 6  # messages of history that a question keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedAnswer:
    """An answer as it was given: its place in the log, the question, what it cited."""

    seq: int
    collection: str
    query: str
    history: tuple[Message, ...]
    cited: tuple[Relevant, ...]
    abstained: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "query": self.query,
            "history": [{"role": one.role, "content": one.content} for one in self.history],
            "cited": [{"uri": one.uri, "start": one.start, "end": one.end} for one in self.cited],
            "abstained": self.abstained,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one user said of one answer, and what became of it."""

    id: int
    conversation_id: str
    rating: Rating
    comment: str
    status: Status
    created_at: datetime
    answer: RatedAnswer
    right: tuple[Relevant, ...] = ()
    is_answerable: bool = True

    def to_item(self) -> EvaluationItem:
        """Return the question that it became."""
        return EvaluationItem(
            id=f"{KIND}:{self.id}",
            query=self.answer.query,
            kind=KIND,
            made_by=f"a thumb {self.rating} of {self.created_at:%Y-%m-%d}, reviewed",
            relevant=self.right,
            history=self.answer.history,
            answerable=self.is_answerable,
        )


def rated_answer(log: Sequence[StoredEvent], turn: int | None) -> RatedAnswer:
    """Return an answer of a conversation by its number from 1; the last one where none is given.

    Raises:
        ValueError: there is no such answer.
    """
    answers = [i for i, stored in enumerate(log) if isinstance(stored.event, SystemUttered)]
    number = len(answers) if turn is None else turn
    if not 1 <= number <= len(answers):
        raise ValueError(f"turn must be in 1..{len(answers)}, got {number}; it numbers the answers")
    at = answers[number - 1]
    said = log[at].event
    assert isinstance(said, SystemUttered)
    opened = log[0].event
    collection = opened.collection if isinstance(opened, ConversationOpened) else None
    messages = [_message(stored) for stored in log[:at]]
    history = [message for message in messages if message is not None]
    question = history.pop() if history else None
    return RatedAnswer(
        seq=log[at].seq,
        collection=said.citations[0].collection if said.citations else collection or "",
        query=question.content if question else "",
        history=tuple(history[-_NUM_BEFORE:]),
        cited=tuple(
            dict.fromkeys(Relevant(uri=c.uri, start=c.start, end=c.end) for c in said.citations)
        ),
        abstained=said.abstained,
    )


class FeedbackStore:
    """The feedback of one database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def give(
        self, conversation_id: str, answer: RatedAnswer, rating: Rating | None, comment: str = ""
    ) -> int | None:
        """Keep what was said of an answer in place of what was said before; None takes it back.

        Return its number, None where nothing is kept.
        """
        of_it = (feedback.c.conversation_id == conversation_id) & (feedback.c.seq == answer.seq)
        with writing(self._database) as connection:
            connection.execute(delete(feedback).where(of_it))
            if rating is None:
                return None
            number = connection.scalar(
                insert(feedback)
                .values(
                    conversation_id=conversation_id,
                    seq=answer.seq,
                    collection=answer.collection,
                    rating=rating,
                    comment=comment,
                    status="new",
                    item=answer.to_json(),
                    created_at=datetime.now(UTC),
                )
                .returning(feedback.c.id)
            )
        return int(number or 0)

    def ratings(self, conversation_id: str) -> dict[int, Rating]:
        """Return what was said of a conversation's answers, by their place in its log."""
        with reading(self._database) as connection:
            rows = connection.execute(
                select(feedback.c.seq, feedback.c.rating).where(
                    feedback.c.conversation_id == conversation_id
                )
            )
            return {row.seq: row.rating for row in rows}

    def forget(self, conversation_id: str) -> None:
        """Drop all that was said of a conversation, questions that it became included."""
        with writing(self._database) as connection:
            connection.execute(
                delete(feedback).where(feedback.c.conversation_id == conversation_id)
            )

    def list(
        self, *, collection: str | None = None, status: Status | None = None
    ) -> list[Feedback]:
        """Return what was said, in the order of saying."""
        query = select(feedback).order_by(feedback.c.id)
        if collection is not None:
            query = query.where(feedback.c.collection == collection)
        if status is not None:
            query = query.where(feedback.c.status == status)
        with reading(self._database) as connection:
            return [_feedback(row) for row in connection.execute(query)]

    def accept(
        self, number: int, *, right: Sequence[Relevant] = (), is_answerable: bool | None = None
    ) -> Feedback:
        """Make a question of it; without more, what a thumb up says is right.

        Raises:
            FeedbackError: there is no such feedback, or it does not say what would be right.
        """
        found = self._get(number)
        if is_answerable is None and not right:
            if found.rating == "down" or not (found.answer.cited or found.answer.abstained):
                raise FeedbackError(
                    f"feedback {number} does not say what would be right; name it with --relevant"
                    " URI:START-END, or say --unanswerable"
                )
            is_answerable = not found.answer.abstained
            right = found.answer.cited if is_answerable else ()
        is_answerable = True if right else bool(is_answerable)
        values = found.answer.to_json() | {
            "right": [{"uri": one.uri, "start": one.start, "end": one.end} for one in right],
            "is_answerable": is_answerable,
        }
        self._decide(number, "accepted", values)
        return self._get(number)

    def reject(self, number: int) -> None:
        """Leave it out of sets; raises `FeedbackError` where there is none."""
        self._decide(number, "rejected", self._get(number).answer.to_json())

    def _get(self, number: int) -> Feedback:
        with reading(self._database) as connection:
            row = connection.execute(select(feedback).where(feedback.c.id == number)).first()
        if row is None:
            raise FeedbackError(
                f"there is no feedback {number}; 'python -m api eval feedback list' shows all"
            )
        return _feedback(row)

    def _decide(self, number: int, status: Status, item: dict[str, Any]) -> None:
        with writing(self._database) as connection:
            connection.execute(
                update(feedback).where(feedback.c.id == number).values(status=status, item=item)
            )


def _message(stored: StoredEvent) -> Message | None:
    match stored.event:
        case UserUttered(text=text):
            return Message(role="user", content=text)
        case SystemUttered(text=text):
            return Message(role="assistant", content=text)
        case _:
            return None


def _feedback(row: Any) -> Feedback:
    item = row.item
    return Feedback(
        id=row.id,
        conversation_id=row.conversation_id,
        rating=row.rating,
        comment=row.comment,
        status=row.status,
        created_at=row.created_at,
        answer=RatedAnswer(
            seq=row.seq,
            collection=row.collection,
            query=item["query"],
            history=tuple(Message(**one) for one in item["history"]),
            cited=tuple(Relevant(**one) for one in item["cited"]),
            abstained=item["abstained"],
        ),
        right=tuple(Relevant(**one) for one in item.get("right", [])),
        is_answerable=item.get("is_answerable", True),
    )
