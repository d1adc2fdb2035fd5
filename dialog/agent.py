"""One turn of a conversation, from the user's message to the recorded reply.

    read the log → find evidence → fit the window → let the model speak → say it, cited → record

The page, the command line and the HTTP API all come through here. Composition (which model, which
store, which collections) is somebody else's.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dialog.events import EvidenceRetrieved, SystemUttered, UserUttered
from dialog.grounded_answer import (
    OWN_WORDS_LABEL,
    OWN_WORDS_TOKENS,
    abstention,
    is_hopeless,
    marked_sentences,
    own_words,
    within_bounds,
)
from dialog.notes import notes_on
from dialog.reply import EvidenceFound, Reply, Timings, TurnRequest
from dialog.session import SessionStore
from dialog.spoken import Spoken
from dialog.state import DialogState, Turn, replay
from dialog.turn_queue import TurnQueue
from dialog.window import Window, fit
from llm.chat import ChatModel, LinkedEvent, Message, TextDelta, Usage
from llm.sampling_params import SamplingParams
from rag.pipeline import Evidence, RetrievalPipeline
from rag.prompt import EVIDENCE_TOKENS, INSTRUCTION, pack
from rag.query import standalone_query

TurnPart = EvidenceFound | TextDelta | Reply

_EVIDENCE_HEADINGS = 16  # tokens of "Evidence:" and "Question:" around what is packed
_GROUNDED = Message(role="system", content=INSTRUCTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What precedes the message: system messages, turns, and the log it is to be written to."""

    system: tuple[Message, ...]
    turns: tuple[Turn, ...]
    collection: str | None
    expected_seq: int = 0


class DialogAgent:
    """Answers user messages, with retrieval or without, and records what happened."""

    def __init__(
        self,
        model: ChatModel,
        retrieval: RetrievalPipeline,
        sessions: SessionStore,
        *,
        max_tokens: int = 256,
    ) -> None:
        self._model = model
        self._retrieval = retrieval
        self._sessions = sessions
        self._max_tokens = max_tokens
        self._queue = TurnQueue()

    def respond(self, request: TurnRequest, *, cancel: threading.Event | None = None) -> Reply:
        """Answer one message; see `stream`."""
        reply: Reply | None = None
        for part in self.stream(request, cancel=cancel):
            if isinstance(part, Reply):
                reply = part
        assert reply is not None, "a turn ends with its reply"
        return reply

    def stream(
        self, request: TurnRequest, *, cancel: threading.Event | None = None
    ) -> Iterator[TurnPart]:
        """Yield the evidence (where there is a search), the answer as it comes, then the reply.

        Raises:
            UnknownConversationError: the owner has no such conversation.
            UnknownCollectionError: no collection has this name.
            ContextOverflowError: the message alone is longer than the context.
            ConcurrentTurnError: another turn of the conversation ended in the meantime.
            ConversationBusyError: another one was under way until the request's deadline.
        """
        cancel = cancel or threading.Event()
        spoken = Spoken()
        turn = self._queue.turn(request.conversation_id, cancel, timeout_s=request.params.timeout_s)
        with turn:
            history = self._history(request)
            if history.collection is None:
                yield from self._plain(request, history, spoken, cancel)
            else:
                yield from self._grounded(request, history, history.collection, spoken, cancel)

    def _history(self, request: TurnRequest) -> _History:
        *before, _ = request.messages
        if request.conversation_id is None:
            system, turns = _turns_of(before)
            return _History(system=system, turns=turns, collection=request.collection)
        log = self._sessions.events(request.conversation_id, request.owner)
        state: DialogState = replay(stored.event for stored in log)
        return _History(
            system=(),
            turns=state.turns,
            collection=request.collection or state.collection,
            expected_seq=len(log),
        )

    def _plain(
        self, request: TurnRequest, history: _History, spoken: Spoken, cancel: threading.Event
    ) -> Iterator[TurnPart]:
        message = request.messages[-1]
        max_tokens = request.params.max_tokens or self._max_tokens
        window = self._fit(request, history.system, history.turns, message, max_tokens)
        params = replace(
            request.params, max_tokens=max_tokens, timeout_s=spoken.left_s(request.params)
        )
        for part in self._model.stream(
            window.messages, params, cancel=cancel, tenant=request.owner
        ):
            if isinstance(part, TextDelta):
                yield spoken.say(part.text)
            else:
                spoken.completion = part
                spoken.finish_reason = part.finish_reason
        yield self._finish(request, history, spoken, window, message.content, evidence=None)

    def _grounded(
        self,
        request: TurnRequest,
        history: _History,
        collection: str,
        spoken: Spoken,
        cancel: threading.Event,
    ) -> Iterator[TurnPart]:
        message = request.messages[-1]
        question = message.content
        system = (_GROUNDED, *history.system)
        room = self._room_beside(request, system)
        query = standalone_query(question, [turn.question for turn in history.turns])
        began = spoken.elapsed_s()
        evidence = self._retrieval.find(query, collection)
        spoken.retrieval_s = spoken.elapsed_s() - began
        yield EvidenceFound(passages=evidence.passages if evidence.is_near else ())
        if not evidence.is_near:
            window = Window(messages=(), dropped_turns=0)
            yield spoken.say(abstention(collection, evidence.passages))
            yield self._finish(request, history, spoken, window, question, evidence)
            return
        prompt = pack(
            question,
            evidence.quotes,
            count_tokens=self._text_tokens,
            budget=min(EVIDENCE_TOKENS, room),
        )
        last = Message(role="user", content=prompt)
        window = self._fit(request, system, history.turns, last, OWN_WORDS_TOKENS)
        yield from self._speak(request, evidence, window, spoken, cancel)
        if spoken.completion is not None and spoken.completion.finish_reason == "deadline":
            spoken.finish_reason = "deadline"
        yield self._finish(request, history, spoken, window, prompt, evidence)

    def _speak(
        self,
        request: TurnRequest,
        evidence: Evidence,
        window: Window,
        spoken: Spoken,
        cancel: threading.Event,
    ) -> Iterator[TurnPart]:
        """Say the quotes while the model drafts, then its own words if the quotes bear them out.

        The first sentence goes out at once, the others in step with the model's tokens. A draft
        that the quotes can no longer bear out is given up.
        """
        pieces, cut_by = within_bounds(
            marked_sentences(evidence.quotes),
            max_tokens=request.params.max_tokens or self._max_tokens,
            stop=request.params.stop,
            count_tokens=self._text_tokens,
        )
        yield spoken.say(pieces[0].text, pieces[0].number)
        if cut_by is not None:
            spoken.finish_reason = cut_by
            for piece in pieces[1:]:
                yield spoken.say(piece.text, piece.number)
            return
        waiting = [(word, piece.number) for piece in pieces[1:] for word in _words(piece.text)]
        params = replace(
            request.params,
            max_tokens=OWN_WORDS_TOKENS,
            stop=("\n",),
            timeout_s=spoken.left_s(request.params),
        )
        draft = ""
        given_up = LinkedEvent(cancel)
        for part in self._model.stream(
            window.messages, params, cancel=given_up, tenant=request.owner
        ):
            if isinstance(part, TextDelta):
                draft += part.text
                if is_hopeless(draft, evidence.quotes):
                    given_up.set()
                if waiting:
                    yield spoken.say(*waiting.pop(0))
            else:
                spoken.completion = part
        if cancel.is_set():
            spoken.finish_reason = "cancelled"
            return
        for word, number in waiting:
            yield spoken.say(word, number)
        own = own_words(draft, evidence.quotes, request.messages[-1].content)
        addition = f"\n\n{OWN_WORDS_LABEL}{own}"
        if own and self._is_within_bounds(spoken.text + addition, request.params):
            yield spoken.say(addition)

    def _is_within_bounds(self, text: str, params: SamplingParams) -> bool:
        if any(stop in text for stop in params.stop):
            return False
        return self._text_tokens(text) <= (params.max_tokens or self._max_tokens)

    def _text_tokens(self, text: str) -> int:
        """Return the tokens of a text alone, without the template around it."""
        empty, full = (
            self._model.count_tokens([Message(role="assistant", content=content)])
            for content in ("", text)
        )
        return full - empty

    def _room_beside(self, request: TurnRequest, system: Sequence[Message]) -> int:
        """Return how many tokens of evidence fit beside a message; raises if it does not itself."""
        window = self._fit(request, system, (), request.messages[-1], OWN_WORDS_TOKENS)
        taken = self._model.count_tokens(window.messages)
        limit = self._model.context_size - min(OWN_WORDS_TOKENS, self._model.context_size // 2)
        return max(0, limit - taken - _EVIDENCE_HEADINGS)

    def _fit(
        self,
        request: TurnRequest,
        system: Sequence[Message],
        turns: Sequence[Turn],
        last: Message,
        reserve: int,
    ) -> Window:
        return fit(
            system,
            [turn.messages for turn in turns],
            last,
            model=self._model,
            reserve=min(reserve, self._model.context_size // 2),
            can_roll=request.params.overflow == "roll",
        )

    def _finish(
        self,
        request: TurnRequest,
        history: _History,
        spoken: Spoken,
        window: Window,
        prompt_text: str,
        evidence: Evidence | None,
    ) -> Reply:
        completion = spoken.completion
        cited = evidence.citations if evidence is not None else ()
        usage = completion.usage if completion else Usage(prompt_tokens=0, completion_tokens=0)
        decoded = usage.completion_tokens
        if evidence is not None:  # what is sent is mostly quoted, not decoded
            usage = replace(usage, completion_tokens=self._text_tokens(spoken.text))
        left_window = completion.left_window if completion else 0
        reply = Reply(
            text=spoken.text,
            citations=tuple(
                c for c in cited if f"[{c.id}]" in spoken.text and c.id in spoken.marks
            ),
            finish_reason=spoken.finish_reason,
            usage=usage,
            timings=Timings(
                retrieval_s=spoken.retrieval_s,
                prefill_s=completion.prefill_s if completion else 0.0,
                decode_s=completion.decode_s if completion else 0.0,
                total_s=spoken.elapsed_s(),
                decoded_tokens=decoded,
            ),
            seed=completion.seed if completion else request.params.seed or 0,
            abstained=evidence is not None and not evidence.is_near,
            dropped_turns=window.dropped_turns,
            left_window=left_window,
            notes=notes_on(
                dropped_turns=window.dropped_turns,
                left_window=left_window,
                finish_reason=spoken.finish_reason,
                timeout_s=request.params.timeout_s,
            ),
            conversation_id=request.conversation_id,
        )
        if request.conversation_id is not None:
            self._record(request, history, reply, prompt_text, evidence)
            if evidence is not None and window.messages:
                # What was said is quoted and not what the model wrote: the next turn begins so.
                said = Message(role="assistant", content=reply.text)
                self._model.read_ahead((*window.messages, said), tenant=request.owner)
        return reply

    def _record(
        self,
        request: TurnRequest,
        history: _History,
        reply: Reply,
        prompt_text: str,
        evidence: Evidence | None,
    ) -> None:
        assert request.conversation_id is not None, "only stored conversations are recorded"
        found = (
            (EvidenceRetrieved(passages=evidence.passages if evidence.is_near else ()),)
            if evidence is not None
            else ()
        )
        self._sessions.append(
            request.conversation_id,
            history.expected_seq,
            UserUttered(message_id="", text=request.messages[-1].content, prompt_text=prompt_text),
            *found,
            SystemUttered(
                text=reply.text,
                citations=reply.citations,
                finish_reason=reply.finish_reason,
                usage=reply.usage,
                timings=reply.timings,
                seed=reply.seed,
                abstained=reply.abstained,
                dropped_turns=reply.dropped_turns,
                notes=reply.notes,
            ),
        )


def _turns_of(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Turn, ...]]:
    """Split a chat that a caller sent: what precedes the first user message, then its turns."""
    system: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "user":
            turns.append([message])
        elif turns:
            turns[-1].append(message)
        else:
            system.append(message)
    return tuple(system), tuple(
        Turn(question=turn[0].content, messages=tuple(turn)) for turn in turns
    )


def _words(text: str) -> list[str]:
    """Cut before each word, so that the pieces concatenate to the text."""
    pieces = text.split(" ")
    return [pieces[0], *(f" {piece}" for piece in pieces[1:])]
