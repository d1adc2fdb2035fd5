"""What a model writes so that more is found: drafts of answers, paraphrases, sub-questions.

A draft may be wrong in every word and still stand near the passage that is right (HyDE, arXiv
2212.10496). Texts that say nothing, or only the question again, are left out.
"""

import re
from collections.abc import Callable, Sequence

from rag.document import Chunk, Passage
from rag.subject import Exchange
from rag.writer import Writer, WritingTask

MODEL_URI = "model:"
_DRAFT_TOKENS = 80
_QUESTION_TOKENS = 40
_WARM = 0.7
_MOST_TURNS = 3
_MOST_CHARS = 300  # of what was answered or found: enough to name things
_HYPOTHETICAL = (
    "Write a short passage, as it could stand in a reference work, that answers the question or"
    " says whether the claim is true. Write the passage alone."
)
_PARAPHRASE = "Say the same in other words, in one sentence. Write that sentence alone."
_KNOWLEDGE = "Write down in two or three short sentences what is known about this."
_REWRITE = (
    "Rewrite the last question so that it can be understood without the conversation: put names in"
    " the place of words such as he, it or they. Write the question alone."
)
_SUB_QUESTION = (
    "To answer the question, which simpler question must be answered first? Write one simpler"
    " question, or the word none if nothing more is needed."
)
_NONE = re.compile(r"^\W*none\b", re.IGNORECASE)
_LABEL = re.compile(
    r"^(?:passage|answer|question|paraphrase|rewritten question)\s*:\s*", re.IGNORECASE
)


def hypothetical_passages(question: str, num: int, writer: Writer, *, deadline: float) -> list[str]:
    """Return up to `num` drafts of a passage that answers the question."""
    tasks = [
        WritingTask(
            instruction=_HYPOTHETICAL,
            text=question,
            max_tokens=_DRAFT_TOKENS,
            temperature=_WARM if num > 1 else 0.0,
            seed=seed,
        )
        for seed in range(num)
    ]
    return _useful(writer.write(tasks, deadline=deadline), [question])


def paraphrases(question: str, num: int, writer: Writer, *, deadline: float) -> list[str]:
    """Return up to `num` other wordings of the question."""
    tasks = [
        WritingTask(
            instruction=_PARAPHRASE,
            text=question,
            max_tokens=_QUESTION_TOKENS,
            temperature=_WARM,
            seed=seed,
        )
        for seed in range(num)
    ]
    return [
        _first_line(text) for text in _useful(writer.write(tasks, deadline=deadline), [question])
    ]


def knowledge(question: str, collection: str, writer: Writer, *, deadline: float) -> list[Passage]:
    """Return what the model believes to know, as a passage that nothing can cite, or nothing."""
    task = WritingTask(instruction=_KNOWLEDGE, text=question, max_tokens=_DRAFT_TOKENS)
    texts = _useful(writer.write([task], deadline=deadline), [question])
    return [
        Passage(
            collection=collection,
            document_id="",
            title=writer.name,
            uri=f"{MODEL_URI}{writer.name}",
            chunk=Chunk(start=0, end=len(text.encode()), text=text),
            score=0.0,
            rank=rank,
            origin="model",
        )
        for rank, text in enumerate(texts, start=1)
    ]


def rewritten(question: str, before: Sequence[Exchange], writer: Writer, *, deadline: float) -> str:
    """Return a follow-up as the model lets it stand alone; the question itself if it cannot."""
    said = "\n".join(
        f"Question: {one.question}\nAnswer: {_brief(one.answer)}" for one in before[-_MOST_TURNS:]
    )
    task = WritingTask(
        instruction=_REWRITE,
        text=f"{said}\nLast question: {question}",
        max_tokens=_QUESTION_TOKENS,
    )
    texts = _useful(writer.write([task], deadline=deadline), [])
    return _first_line(texts[0]) if texts else question


def sub_questions(
    question: str,
    most: int,
    writer: Writer,
    answer: Callable[[str], str],
    *,
    deadline: float,
) -> list[str]:
    """Return the sub-questions of a question, each asked with those before it answered.

    (Self-ask, arXiv 2210.03350; the answers come from the search, not from the model.) Ends where
    the model asks nothing new, and after `most`.
    """
    asked: list[str] = []
    known = ""
    for _ in range(most):
        task = WritingTask(
            instruction=_SUB_QUESTION,
            text=f"Question: {question}{known}",
            max_tokens=_QUESTION_TOKENS,
        )
        texts = _useful(writer.write([task], deadline=deadline), [question, *asked])
        if not texts or _NONE.match(texts[0]):
            break
        asked.append(_first_line(texts[0]))
        known += f"\nFollow up: {asked[-1]}\nIntermediate answer: {_brief(answer(asked[-1]))}"
    return asked


def _useful(texts: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the texts without labels, without empty ones and without what is known already."""
    seen = {_plain(one) for one in known}
    kept = []
    for text in texts:
        bare = _LABEL.sub("", text.strip()).strip().strip('"“”').strip()
        if bare and _plain(bare) not in seen:
            seen.add(_plain(bare))
            kept.append(bare)
    return kept


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _first_line(text: str) -> str:
    return text.splitlines()[0].strip()


def _brief(text: str) -> str:
    return " ".join(text.split())[:_MOST_CHARS] or "unknown"
