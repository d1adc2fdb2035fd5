"""Question sets: questions with the topic that answers them, and questions without an answer."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from dialog.reply import Reply

_CITATION_MARK = re.compile(r"\[\d+\]")
_QUOTE_LINE = re.compile(r"^\s*>+\s?", re.MULTILINE)
_TYPOGRAPHY = str.maketrans(
    {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'"}
    | dict.fromkeys('"“”`*\\')
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question; without `topics` it is one that the corpus cannot answer.

    `topics` are keys of language topics, or ends of uris where they hold a slash. A right answer
    holds one of `key_phrases`.
    """

    text: str
    topics: tuple[str, ...] = ()
    key_phrases: tuple[str, ...] = ()

    def is_right_source(self, uri: str) -> bool:
        """Say whether `uri` is a document that holds the answer."""
        ends = (f"/{key}" if "/" in key else f"/topics/{key}" for key in self.topics)
        return uri.endswith(tuple(ends))

    def holds_key_phrase(self, text: str) -> bool:
        """Say whether `text` has a key phrase, whatever its case, lines and quotes."""
        flat = plain(text)
        return any(plain(phrase) in flat for phrase in self.key_phrases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How one reply fared. For a question without an answer only `has_abstained` counts."""

    question: Question
    uris: tuple[str, ...]
    has_right_topic: bool
    is_first_right: bool
    has_key_phrase: bool
    has_abstained: bool
    total_s: float
    text: str


def read_questions(path: Path) -> list[Question]:
    """Read a question file: the answerable ones first.

    Raises:
        ValueError: the file has not the form of a question set.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        answerable = [
            Question(
                text=row["question"],
                topics=tuple(row["topics"]),
                key_phrases=tuple(row["key_phrases"]),
            )
            for row in data["answerable"]
        ]
        unanswerable = [Question(text=text) for text in data["unanswerable"]]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path.name} is no question set ({error!r} is missing or odd): it needs `answerable`"
            " with question, topics and key_phrases, and `unanswerable`"
        ) from error
    return answerable + unanswerable


def plain(text: str) -> str:
    """Return `text` for comparison: no citation or quotation marks, one space, lower case."""
    text = _QUOTE_LINE.sub("", _CITATION_MARK.sub("", text))
    return " ".join(text.translate(_TYPOGRAPHY).casefold().split())


def judge(question: Question, reply: Reply) -> Judgement:
    """Compare a reply with what is known about its question."""
    uris = tuple(citation.uri for citation in reply.citations)
    right = [question.is_right_source(uri) for uri in uris]
    return Judgement(
        question=question,
        uris=tuple(dict.fromkeys(uris)),
        has_right_topic=any(right),
        is_first_right=bool(right) and right[0],
        has_key_phrase=question.holds_key_phrase(reply.text),
        has_abstained=reply.abstained,
        total_s=reply.timings.total_s,
        text=reply.text,
    )
