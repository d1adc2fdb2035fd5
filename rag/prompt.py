"""Quotes and a question to one user message: numbered evidence within a token budget.

The evidence stands in the turn that it served and stays there, so that later prompts begin with the
same tokens. Passages are data: the instruction stands outside them, nothing in them can pass for a
mark, a heading or a special token (`rag.packing.as_data`), and the template that wraps the message
keeps special tokens from meaning anything.
"""

from collections.abc import Callable, Sequence

from rag.document import Passage
from rag.packing import as_data
from rag.quotes import Quote

INSTRUCTION = (
    "You answer questions from the evidence given with them. Say what the evidence says, in one"
    " short sentence, and nothing else."
)
EVIDENCE_TOKENS = 320


def pack(
    question: str,
    quotes: Sequence[Quote],
    *,
    count_tokens: Callable[[str], int],
    budget: int = EVIDENCE_TOKENS,
) -> str:
    """Return the question with the quoted sentences, under their passages' titles and numbers.

    What the model adds is shown only where a quoted sentence bears it out, so it reads no more than
    those: the rest of a passage would cost the turn four times as many tokens and could not be
    said. A passage whose quotes are over the budget is left out.
    """
    numbers: dict[tuple[str, int], list[int]] = {}
    passages: dict[tuple[str, int], Passage] = {}
    for number, quote in enumerate(quotes, start=1):
        key = (quote.passage.document_id, quote.passage.chunk.start)
        numbers.setdefault(key, []).append(number)
        passages[key] = quote.passage
    blocks: list[str] = []
    left = budget
    for key, passage in passages.items():
        head = "".join(f"[{number}]" for number in numbers[key]) + f" {as_data(passage.title)}\n"
        block = head + as_data(
            " ".join(quotes[number - 1].sentence.text for number in numbers[key])
        )
        cost = count_tokens(block)
        if cost <= left:
            blocks.append(block)
            left -= cost
    evidence = "\n\n".join(blocks)
    return f"Evidence:\n{evidence}\n\nQuestion: {question}" if blocks else question
