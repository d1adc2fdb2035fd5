"""`python -m api cite verify`: an answer that was kept, held against its sources of today."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.cli.index_options import AsJson, Tenant, opened_store, print_json, settings_for
from api.errors import ApplicationError
from index.protocol import DocumentRecord
from rag.citations import Citation
from rag.recheck import CitationStatus, SentenceStatus, Span, recheck_citations, recheck_sentences

VERIFY_EXAMPLE = "Example: python -m api cite verify answer.json"

cite_app = typer.Typer(
    help="Check the citations of answers that were kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class AnswerFileError(ApplicationError):
    """A file holds no answer with citations."""


@cite_app.callback()
def _options() -> None:
    """Check the citations of answers that were kept."""


@cite_app.command("verify", epilog=VERIFY_EXAMPLE)
def verify(
    answer: Annotated[
        Path,
        typer.Argument(
            metavar="ANSWER",
            help="A chat completion as JSON, or what chat --json printed.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
    tenant: Tenant = "",
) -> None:
    """Check an answer again; exit code 1 where a citation or a sentence does not hold."""
    kept = read_answer(answer)
    with opened_store(settings_for(tenant), tenant) as store:

        def get(collection: str, document_id: str) -> tuple[DocumentRecord, str]:
            return store.open(collection).get(document_id)

        found = recheck_citations(kept.text, kept.citations, get)
    said = list(recheck_sentences(kept.text, kept.citations, kept.spans))
    if as_json:
        print_json(
            {
                "citations": [asdict(one) for one in found],
                "sentences": [asdict(one) for one in said],
            }
        )
    else:
        for line in _lines(found, said):
            print(line)
    holds = all(one.status == "holds" for one in found)
    if not (holds and all(one.verdict == "supported" for one in said)):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """The words of an answer, its citations, and the sentences that it tells of itself."""

    text: str
    citations: list[Citation]
    spans: list[Span]


def read_answer(path: Path) -> KeptAnswer:
    """Read an answer.

    Raises:
        AnswerFileError: the file holds something else.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        message = whole["choices"][0]["message"] if "choices" in whole else whole
        own = message.get("causerie", message)
        text = message["content"] if "content" in message else message["answer"]
        names = Citation.__dataclass_fields__
        citations = [
            Citation(**{name: value for name, value in one.items() if name in names})
            for one in own["citations"]
        ]
        sentences = (own.get("grounding") or {"sentences": []})["sentences"]
        spans = [(one["start"], one["end"], tuple(one["citations"])) for one in sentences]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise AnswerFileError(
            f"{path.name} holds no answer with citations ({error!r}); give the JSON of a chat"
            " completion, or of chat --json"
        ) from error
    return KeptAnswer(text=str(text), citations=citations, spans=spans)


def _lines(found: list[CitationStatus], said: list[SentenceStatus]) -> list[str]:
    lines = [f"[{one.id}] {one.status}: {one.reason}" for one in found]
    for one in said:
        why = f" ({'; '.join(one.problems)})" if one.problems else ""
        marks = "".join(f"[{mark}]" for mark in one.citations)
        lines.append(f"{marks} {one.verdict}{why}: {one.text}")
    return lines or ["the answer cites nothing"]
