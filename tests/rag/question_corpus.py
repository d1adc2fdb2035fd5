"""Three small manuals with headings, names, and sentences that differ in a number."""

from index.protocol import Item, NewDocument
from rag.chunking import chunk
from rag.document import Document, sha256_hex
from rag.testing import HashingEmbedder

KETTLE = """# Kettle K1

## Boiling water

The kettle switches itself off when the water boils. The tank of this kettle holds 1.5 litres of
fresh tap water. Never open the lid of the kettle while the water in it is boiling.

## Removing limescale

Pour vinegar into the cold tank and leave it there for about twenty minutes. The inventor Ada
Blackwood recommended citric acid to everybody with hard water.
"""
STEAMER = """# Steamer S2

## Steaming vegetables

Carrots need eleven minutes in the upper basket of the steamer. The tank of this kettle holds 2.4
litres of fresh tap water. A bell rings once the chosen time is over.

## Cleaning the baskets

Both baskets may go into the dishwasher on a gentle programme without any powder.
"""
OVEN = """# Oven O3

## Baking bread

Heat the oven for a quarter of an hour before the bread goes in. The Saltmarsh Mill is a supplier
of flour for this oven and answers questions by telephone. Tap the loaf to hear whether it is done.

## Changing the lamp

Let the oven cool down completely before you unscrew the glass cover of the lamp.
"""
TEXTS = {"kettle.md": KETTLE, "steamer.md": STEAMER, "oven.md": OVEN}


def documents() -> list[Document]:
    """The manuals as they are ingested."""
    return [
        Document(
            uri=uri,
            title=text.splitlines()[0].removeprefix("# "),
            text=text,
            media_type="text/markdown",
            source_sha256=sha256_hex(text.encode()),
        )
        for uri, text in TEXTS.items()
    ]


def stored() -> list[NewDocument]:
    """The manuals as a collection gives them back."""
    embedder = HashingEmbedder()
    found = []
    for document in documents():
        chunks = chunk(
            document.text,
            count_tokens=embedder.count_tokens,
            target_chars=300,
            media_type=document.media_type,
        )
        found.append(
            NewDocument(
                uri=document.uri,
                title=document.title,
                media_type=document.media_type,
                source_sha256=document.source_sha256,
                text=document.text,
                items=[
                    Item(start=one.start, end=one.end, heading_path=one.heading_path)
                    for one in chunks
                ],
                vectors=embedder.encode([one.text for one in chunks], "passage"),
            )
        )
    return found
