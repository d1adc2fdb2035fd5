"""Answers of the whole dialogue, chat model included, for sets of questions."""

from dataclasses import replace

from dialog.agent import DialogAgent
from dialog.reply import Reply, TurnRequest
from dialog.session import SessionStore
from llm.chat import ChatModel, Message
from rag.answering import ExtractiveAnswerer
from rag.evaluation import Answered
from rag.evaluation_set import EvaluationItem


class DialogAnswerer:
    """Answers as the service does, without what a question holds out; satisfies `Answerer`."""

    def __init__(
        self,
        model: ChatModel,
        extractive: ExtractiveAnswerer,
        collection: str,
        sessions: SessionStore,
        *,
        max_tokens: int,
    ) -> None:
        """Take the model and what finds the evidence; `sessions` are not written to."""
        self._model = model
        self._extractive = extractive
        self._collection = collection
        self._sessions = sessions
        self._max_tokens = max_tokens

    def answer(self, item: EvaluationItem) -> Answered:
        """Answer one question in the dialogue that came before it."""
        found = self._extractive.answer(item)
        agent = DialogAgent(
            self._model,
            self._extractive.pipeline_for(item),
            self._sessions,
            max_tokens=self._max_tokens,
        )
        asked = Message(role="user", content=item.query)
        reply = agent.respond(
            TurnRequest(messages=(*item.history, asked), collection=self._collection)
        )
        return replace(
            found,
            text=reply.text if _is_answer(reply) else "",
            citations=reply.citations if _is_answer(reply) else (),
            is_answer=_is_answer(reply),
            supported=_supported(reply),
            retrieval_s=reply.timings.retrieval_s,
            total_s=reply.timings.total_s,
        )


def _is_answer(reply: Reply) -> bool:
    """Tell an answer from an abstention and from a question back."""
    is_near = reply.grounding is None or reply.grounding.gate.is_near
    return is_near and not reply.abstained


def _supported(reply: Reply) -> tuple[bool, ...]:
    if reply.grounding is None or not _is_answer(reply):
        return ()
    return tuple(one.verdict == "supported" for one in reply.grounding.sentences)
