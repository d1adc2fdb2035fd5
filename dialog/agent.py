"""One turn of a conversation, from the user's message to the recorded reply.

    read the log → find evidence → fit the window → let the model speak → say it, cited → record

The page, the command line and the HTTP API all come through here. Composition (which model, which
store, which collections) is somebody else's.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from dialog.acting_answer import act, own_words
from dialog.answer_grounding import grounding_of
from dialog.chat_turns import asked, last_of, search_context, turns_of
from dialog.controlled_answer import (
    NO_EVIDENCE_NOTE,
    check_has_evidence,
    controlled_spec,
    has_form,
    is_controlled,
    relayed,
)
from dialog.errors import ToolsMissingError
from dialog.generated_answer import OWN_TOKENS, GeneratedAnswer, is_generative
from dialog.grounded_answer import OWN_WORDS_TOKENS, abstention, clarification, speak_quotes
from dialog.notes import notes_on
from dialog.reply import ActingReport, CallCard, EvidenceFound, Reply, Timings, TurnRequest
from dialog.session import SessionStore
from dialog.spoken import Spoken, with_account
from dialog.state import DialogState, Turn, replay
from dialog.turn_events import turn_events
from dialog.turn_queue import TurnQueue
from dialog.window import Window, fit, text_tokens
from llm.chat import ChatModel, Message, TextDelta, ToolCallDelta, Usage
from llm.decoding.spec import DecodeSpec
from llm.tool_prompt import with_tools
from rag.grounding import AnswerMode
from rag.packing import GENERATIVE_INSTRUCTION, GENERATIVE_TOKENS, generative_prompt
from rag.pipeline import Evidence, RetrievalPipeline
from rag.prompt import EVIDENCE_TOKENS, INSTRUCTION, pack
from rag.verifier import Verifier
from tools.runs import ToolRuns

TurnPart = EvidenceFound | TextDelta | ToolCallDelta | CallCard | Reply

_EVIDENCE_HEADINGS = 16  # tokens of "Evidence:" and "Question:" around what is packed
_GROUNDED = Message(role="system", content=INSTRUCTION)
_GENERATIVE = Message(role="system", content=GENERATIVE_INSTRUCTION)


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
        runs: ToolRuns | None = None,
        answer: AnswerMode = "extractive",
        verifier: Verifier | None = None,
    ) -> None:
        self._model = model
        self._runs = runs
        self._retrieval = retrieval
        self._sessions = sessions
        self._max_tokens = max_tokens
        self._answer = answer
        self._verifier = verifier or Verifier()
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
            ConstraintError: what is asked of the form of the answer cannot be had.
        """
        cancel = cancel or threading.Event()
        spoken = Spoken()
        turn = self._queue.turn(request.conversation_id, cancel, timeout_s=request.params.timeout_s)
        with turn:
            history = self._history(request)
            if request.acting is not None:
                yield from self._acting(request, history, spoken, cancel)
            elif history.collection is None:
                yield from self._plain(request, history, spoken, cancel)
            else:
                yield from self._grounded(request, history, history.collection, spoken, cancel)

    def _history(self, request: TurnRequest) -> _History:
        *before, _ = with_tools(request.messages, request.tools)
        if request.conversation_id is None:
            system, turns = turns_of(before)
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
        check_has_evidence(request)
        message = last_of(request)
        max_tokens = request.params.max_tokens or self._max_tokens
        window = self._fit(request, history.system, history.turns, message, max_tokens)
        yield from self._draw(request, request.spec, window, None, spoken, cancel)
        yield self._finish(request, history, spoken, window, message.content, evidence=None)

    def _acting(
        self, request: TurnRequest, history: _History, spoken: Spoken, cancel: threading.Event
    ) -> Iterator[TurnPart]:
        if self._runs is None:
            raise ToolsMissingError
        message = last_of(request)
        max_tokens = request.params.max_tokens or self._max_tokens
        turns = own_words(history.turns)
        window = self._fit(request, history.system, turns, message, max_tokens)
        report: ActingReport | None = None
        for part in act(self._runs, request, window.messages, spoken, cancel):
            if isinstance(part, ActingReport):
                report = part
            else:
                yield part
        reply = self._finish(
            request, history, spoken, window, message.content, evidence=None, acting=report
        )
        yield reply

    def _draw(
        self,
        request: TurnRequest,
        spec: DecodeSpec,
        window: Window,
        baseline: Sequence[Message] | None,
        spoken: Spoken,
        cancel: threading.Event,
    ) -> Iterator[TextDelta | ToolCallDelta]:
        """Let the model speak for itself."""
        params = replace(
            request.params,
            max_tokens=request.params.max_tokens or self._max_tokens,
            timeout_s=spoken.left_s(request.params),
        )
        parts = self._model.stream(
            window.messages,
            params,
            spec=spec,
            baseline=baseline,
            cancel=cancel,
            tenant=request.owner,
        )
        yield from relayed(parts, request, window.messages, spoken)

    def _grounded(
        self,
        request: TurnRequest,
        history: _History,
        collection: str,
        spoken: Spoken,
        cancel: threading.Event,
    ) -> Iterator[TurnPart]:
        message = last_of(request)
        question = message.content
        system = (_GROUNDED, *history.system)
        reserve = OWN_WORDS_TOKENS
        if is_controlled(request):
            reserve = request.params.max_tokens or self._max_tokens
        room = self._room_beside(request, system, message, reserve)
        began = spoken.elapsed_s()
        evidence = self._retrieval.find(
            asked(request), collection, context=search_context(history.turns)
        )
        spoken.retrieval_s = spoken.elapsed_s() - began
        yield EvidenceFound(passages=evidence.passages if evidence.is_near else ())
        if not evidence.is_near and not _can_do_without(request):
            window = Window(messages=(), dropped_turns=0)
            facet = evidence.gate.facet
            if facet is not None:
                yield spoken.say(clarification(facet))
            else:
                yield spoken.say(abstention(collection, evidence.passages, evidence.gate))
            yield self._finish(request, history, spoken, window, question, evidence)
            return
        if is_generative(request, self._answer):
            yield from self._generated(request, history, evidence, spoken, cancel)
            return
        prompt = pack(
            question,
            evidence.quotes,
            count_tokens=partial(text_tokens, self._model),
            budget=min(EVIDENCE_TOKENS, room),
        )
        last = replace(message, role="user", content=prompt, tool_call_id="")
        window = self._fit(request, system, history.turns, last, reserve)
        if is_controlled(request):
            spec = controlled_spec(request, evidence)
            # The same chat with the bare question: what the evidence adds is told by comparison.
            baseline = (*window.messages[:-1], message) if spec.context_faithfulness else None
            yield from self._draw(request, spec, window, baseline, spoken, cancel)
        else:
            yield from speak_quotes(
                self._model,
                request,
                evidence,
                window,
                spoken,
                cancel,
                max_tokens=request.params.max_tokens or self._max_tokens,
            )
        if spoken.completion is not None and spoken.completion.finish_reason == "deadline":
            spoken.finish_reason = "deadline"
        yield self._finish(request, history, spoken, window, prompt, evidence)

    def _generated(
        self,
        request: TurnRequest,
        history: _History,
        evidence: Evidence,
        spoken: Spoken,
        cancel: threading.Event,
    ) -> Iterator[TurnPart]:
        """Answer in the model's words, each sentence held against the passages."""
        message = last_of(request)
        collection = history.collection or ""
        system = (_GENERATIVE, *history.system)
        packed = self._retrieval.packed(
            evidence.passages,
            collection,
            count_tokens=partial(text_tokens, self._model),
            budget=min(GENERATIVE_TOKENS, self._room_beside(request, system, message, OWN_TOKENS)),
        )
        prompt = generative_prompt(message.content, packed, evidence.knowledge)
        last = replace(message, role="user", content=prompt, tool_call_id="")
        window = self._fit(request, system, history.turns, last, OWN_TOKENS)
        writer = GeneratedAnswer(
            self._model, self._verifier, request, packed, evidence, query=evidence.query
        )
        yield from writer.speak(
            window,
            spoken,
            cancel,
            max_tokens=request.params.max_tokens or self._max_tokens,
            nothing=abstention(collection, evidence.passages, evidence.gate),
        )
        yield self._finish(request, history, spoken, window, prompt, evidence)

    def _room_beside(
        self, request: TurnRequest, system: Sequence[Message], message: Message, reserve: int
    ) -> int:
        """Return how many tokens of evidence fit beside a message; raises if it does not itself."""
        window = self._fit(request, system, (), message, reserve)
        taken = self._model.count_tokens(window.messages)
        limit = self._model.context_size - min(reserve, self._model.context_size // 2)
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
        acting: ActingReport | None = None,
    ) -> Reply:
        completion = spoken.completion
        cited = evidence.citations if evidence is not None else ()
        if spoken.citations is not None:
            cited = spoken.citations
        usage = completion.usage if completion else Usage(prompt_tokens=0, completion_tokens=0)
        decoded = usage.completion_tokens
        # What is sent from a collection without controls is mostly quoted, not decoded.
        if evidence is not None and not is_controlled(request):
            usage = replace(usage, completion_tokens=text_tokens(self._model, spoken.text))
        left_window = completion.left_window if completion else 0
        found_nothing = evidence is not None and not evidence.is_near
        has_asked = evidence is not None and evidence.gate.facet is not None
        abstained = found_nothing and not has_asked and not _can_do_without(request)
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
            abstained=abstained or spoken.has_abstained,
            dropped_turns=window.dropped_turns,
            left_window=left_window,
            notes=notes_on(
                dropped_turns=window.dropped_turns,
                left_window=left_window,
                finish_reason=spoken.finish_reason,
                timeout_s=request.params.timeout_s,
            ),
            conversation_id=request.conversation_id,
            acting=acting,
            grounding=None if evidence is None else grounding_of(request, spoken, evidence),
            trace=evidence.trace if evidence is not None and request.trace else None,
        )
        if acting is not None and acting.note:
            reply = replace(reply, notes=(*reply.notes, acting.note))
        if completion is not None:
            is_drawn = evidence is None or is_controlled(request)
            reply = with_account(reply, completion, spoken, is_drawn=is_drawn)
        if found_nothing and _can_do_without(request):
            reply = replace(reply, notes=(*reply.notes, NO_EVIDENCE_NOTE))
        if request.conversation_id is not None:
            self._record(request, history, reply, prompt_text, evidence)
            if evidence is not None and window.messages and not is_controlled(request):
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
        said = request.messages[-1].content
        events = turn_events(reply, said=said, prompt_text=prompt_text, evidence=evidence)
        self._sessions.append(request.conversation_id, history.expected_seq, *events)


def _can_do_without(request: TurnRequest) -> bool:
    """Tell whether the answer has a form that it keeps even where there is no evidence."""
    return has_form(request) and request.evidence_form is None
