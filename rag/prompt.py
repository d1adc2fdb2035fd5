"""Passages and a question to one user message: numbered evidence within a token budget.

The evidence stands in the turn that it served and stays there, so that later prompts begin with the
same tokens. Passages are data: the instruction stands outside them, and the template that wraps the
message keeps special tokens in them from meaning anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.document import Passage
from rag.quotes import Quote

INSTRUCTION = (
    "You answer questions from the evidence given with them. Say what the evidence says, in one"
    " short sentence, and nothing else."
)
EVIDENCE_TOKENS = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedEvidence:
    """The message for the model, and how many passages found room in it."""

    text: str
    num_passages: int


def pack(
    question: str,
    quotes: Sequence[Quote],
    *,
    count_tokens: Callable[[str], int],
    budget: int = EVIDENCE_TOKENS,
) -> PackedEvidence:
    """Return the question with the passages its quotes stand in, each whole or not at all.

    A passage bears the numbers of its quotes. One that is over the budget is replaced by its quoted
    sentences, which always find room.
    """
    numbers: dict[tuple[str, int], list[int]] = {}
    passages: dict[tuple[str, int], Passage] = {}
    for number, quote in enumerate(quotes, start=1):
        key = (quote.passage.document_id, quote.passage.chunk.start)
        numbers.setdefault(key, []).append(number)
        passages[key] = quote.passage
    blocks: list[str] = []
    num_whole = 0
    left = budget
    for key, passage in passages.items():
        marks = "".join(f"[{number}]" for number in numbers[key])
        block = f"{marks} {passage.title}\n{passage.chunk.text.strip()}"
        cost = count_tokens(block)
        if cost <= left:
            num_whole += 1
        else:
            said = " ".join(quotes[number - 1].sentence.text for number in numbers[key])
            block = f"{marks} {passage.title}\n{said}"
            cost = count_tokens(block)
        blocks.append(block)
        left -= cost
    evidence = "\n\n".join(blocks)
    return PackedEvidence(
        text=f"Evidence:\n{evidence}\n\nQuestion: {question}", num_passages=num_whole
    )
