"""A conversation at a terminal: questions are read, answers stream, with sources and cards."""

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from api.application import Application, TurnPart
from api.cli.progress import OnProgress
from api.cli.sentences import SENTENCES, error_line
from api.desk import Desk
from api.reply_model import ExtensionModel
from api.settings import Settings
from dialog.reply import ActingRequest, CallCard, Reply
from llm.chat import TextDelta
from rag.citations import Citation
from tools.runs import Decision

CONTEXT_BYTES: Final = 400
MAX_RESULT_CHARS: Final = 200

_HELP: Final = """\
/source N   show the passage that [N] cites
/help       show this
/quit       leave (or Ctrl-D)
Ctrl-C      stop the answer"""


def preparing(
    settings: Settings, collection: str | None, conversation: str | None
) -> Callable[[Application, OnProgress], None]:
    """Return what indexes the default corpus where a new conversation is about it."""

    def prepare(application: Application, on_progress: OnProgress) -> None:
        from api import bootstrap  # noqa: PLC0415  # see `api.cli.desks.open_desk`

        if conversation is None and collection == settings.default_collection:
            bootstrap.index_language_topics(application, on_progress)

    return prepare


class Dialogue:
    """One conversation at a terminal."""

    def __init__(
        self,
        desk: Desk,
        conversation_id: str,
        console: Console,
        acting: ActingRequest | None = None,
    ) -> None:
        self._acting = acting
        self._desk = desk
        self._id = conversation_id
        self._console = console
        self._citations: tuple[Citation, ...] = ()

    def run(self) -> None:
        """Read and answer lines until /quit or the end of the input."""
        self._say("Ask a question; /help lists the commands, Ctrl-D leaves.", style="dim")
        while True:
            try:
                line = self._console.input("[bold]> [/bold]").strip()
            except EOFError:
                self._console.print()
                break
            except KeyboardInterrupt:
                # Ctrl-C on an empty line throws the line away, as shells do.
                self._console.print()
                continue
            if line in {"/quit", "/exit"}:
                break
            try:
                if line.startswith("/"):
                    self._command(line)
                elif line:
                    self.answer(line)
            except SENTENCES as error:  # a refused turn ends itself, not the dialogue
                Console(stderr=True).print(error_line(error), soft_wrap=True)
        self._say(f"To go on later: python -m api chat --conversation {self._id}", style="dim")

    def answer(self, question: str) -> None:
        """Stream the answer to the terminal, then its sources; ask about calls that wait."""
        acting = self._acting
        while (reply := self._shown(question, acting)) is not None:
            if reply.acting is None or not reply.acting.waiting:
                return
            words = tuple(self._decision(card) for card in reply.acting.waiting)
            acting = replace(acting or ActingRequest(), run_id=reply.acting.run_id, decisions=words)

    def _decision(self, card: CallCard) -> Decision:
        for reason in card.reasons:
            self._say(reason, style="yellow")
        try:
            said = self._console.input(
                f"Call {escape(card.name)}({escape(card.arguments)})? \\[y/N] "
            )
        except EOFError:
            said = ""
        is_agreed = said.strip().lower() in {"y", "yes"}
        return Decision(call_id=card.call_id, is_agreed=is_agreed)

    def _shown(self, question: str, acting: ActingRequest | None) -> Reply | None:
        """Show one turn; return its reply, None where it was stopped."""
        reply: Reply | None = None
        last = ""
        try:
            for part in self._parts(question, acting):
                if isinstance(part, CallCard):
                    if last and not last.endswith("\n"):
                        print()
                    last = ""
                    self._show_card(part)
                elif isinstance(part, TextDelta):
                    sys.stdout.write(part.text)
                    sys.stdout.flush()
                    last = part.text
                elif isinstance(part, Reply):
                    reply = part
        finally:  # also before the sentence of an error
            if last and not last.endswith("\n"):
                print()
        if reply is None or reply.finish_reason == "cancelled":
            self._say("(stopped)", style="dim")
            return None
        self._show_sources(reply)
        return reply

    def _show_sources(self, reply: Reply) -> None:
        self._citations = reply.citations
        if reply.citations:
            print()
        for citation in reply.citations:
            self._say(f"[{citation.id}] {citation.title} — {citation.uri}", style="dim")
        for note in reply.notes:
            self._say(f"note: {note}", style="yellow")

    def _show_card(self, card: CallCard) -> None:
        if card.status in ("done", "failed"):
            sign = "→" if card.status == "done" else "✗"
            text = " ".join(card.result.split())[:MAX_RESULT_CHARS]
            self._say(
                f"  {card.name}({card.arguments}) {sign} {text} ({card.seconds:.2f} s)", style="dim"
            )

    def answer_as_json(self, question: str) -> dict[str, object]:
        """Return the answer and everything known about it."""
        reply: Reply | None = None
        for part in self._parts(question, self._acting):
            if isinstance(part, Reply):
                reply = part
        if reply is None:
            raise KeyboardInterrupt
        extension = ExtensionModel.from_reply(reply, has_citations=True).to_wire()
        return {
            "question": question,
            "answer": reply.text,
            "finish_reason": reply.finish_reason,
            **extension,
            "conversation": self._id,
        }

    def _parts(self, question: str, acting: ActingRequest | None) -> Iterator[TurnPart]:
        """Yield the turn from a thread, so that Ctrl-C stops the answer and not the program."""
        parts: queue.SimpleQueue[TurnPart | BaseException | None] = queue.SimpleQueue()
        cancel = threading.Event()

        def produce() -> None:
            try:
                for part in self._desk.ask(
                    question, conversation_id=self._id, cancel=cancel, acting=acting
                ):
                    parts.put(part)
            except Exception as error:  # noqa: BLE001  # carried over to the main thread
                parts.put(error)
            finally:
                parts.put(None)

        thread = threading.Thread(target=produce, name="turn", daemon=True)
        thread.start()
        try:
            while (part := _next(parts)) is not None:
                if isinstance(part, BaseException):
                    raise part
                yield part
        except KeyboardInterrupt:
            cancel.set()
            print()
        finally:
            cancel.set()
            thread.join(timeout=5.0)

    def _command(self, line: str) -> None:
        word, _, argument = line.partition(" ")
        if word == "/help":
            self._say(_HELP)
        elif word == "/source":
            self._show_source(argument.strip())
        else:
            self._say(f"there is no command {word}; /help lists them", style="yellow")

    def _show_source(self, argument: str) -> None:
        for citation in self._citations:
            if argument in {str(citation.id), f"[{citation.id}]"}:
                passage = self._desk.passage(citation, context=CONTEXT_BYTES)
                self._say(f"{citation.title} — {citation.uri}", style="bold")
                text = Text(passage.before, style="dim")
                text.append(passage.text, style="not dim reverse")
                text.append(passage.after, style="dim")
                self._console.print(text, soft_wrap=True)
                return
        known = ", ".join(str(citation.id) for citation in self._citations)
        there_are = f"the last answer cites {known}" if known else "the last answer cites nothing"
        self._say(f"/source needs a number; {there_are}", style="yellow")

    def _say(self, words: str, *, style: str = "") -> None:
        self._console.print(Text(words, style=style), soft_wrap=True)


def _next(
    parts: "queue.SimpleQueue[TurnPart | BaseException | None]",
) -> TurnPart | BaseException | None:
    while True:
        try:
            return parts.get(timeout=0.2)  # a wait without end would not notice Ctrl-C everywhere
        except queue.Empty:
            continue
