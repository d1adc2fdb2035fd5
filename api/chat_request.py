"""The body of a chat completion, and what of it means something here.

Fields of the OpenAI API that have no effect are accepted and listed in `docs/api.md`; values that
would change the answer and cannot be honoured are refused with the remedy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from api.acting_model import ActingModel
from api.chat_message import NO_AUDIO, ChatMessage, NoFunctions
from api.decode_request import DecodeExtension, DryModel, MirostatModel, PredictionModel
from api.error_table import RequestError, caller_mistakes
from api.form_request import GrammarRequest, ResponseFormat
from api.request_model import RequestModel, Stop, only
from api.tool_request import ToolChoice, Tools, to_tool_use
from dialog.reply import TurnRequest
from llm.decoding.grammar_spec import MAX_WHITESPACE, GrammarSpec
from llm.sampling_params import LogProbsMode, SamplingParams
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from llm.tool_prompt import ToolUse

_CUTS = frozenset(
    {"mirostat", "top_k", "top_p", "min_p", "typical_p"}
    | {"epsilon_cutoff", "eta_cutoff", "top_n_sigma"}
)
# Parameters of ours that have the same name in `SamplingParams`.
_SAMPLING_EXTENSIONS = (
    "top_k",
    "min_p",
    "repetition_penalty",
    "typical_p",
    "min_tokens",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_n_sigma",
    "mirostat",
    "dry",
    "repetition_scope",
    "allowed_token_ids",
    "banned_token_ids",
    "allowed_strings",
    "banned_strings",
    "stop_regex",
    "logprobs_mode",
    "overflow",
    "timeout_s",
)


class StreamOptions(RequestModel):
    """What a stream contains besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Extension(DecodeExtension):
    """Everything of ours, in one object, so that strict clients do not break."""

    collection: str | None = None
    citations: bool = True
    conversation: str | None = None
    top_k: int | None = Field(default=None, ge=0, le=2**31)
    min_p: float | None = None
    repetition_penalty: float | None = None
    typical_p: float | None = None
    min_tokens: int | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    top_n_sigma: float | None = None
    mirostat: MirostatModel | None = None
    dry: DryModel | None = None
    repetition_scope: Literal["all", "output"] | None = None
    allowed_token_ids: list[int] | None = None
    banned_token_ids: list[int] | None = None
    allowed_strings: list[str] | None = None
    banned_strings: list[str] | None = None
    stop_regex: list[str] | None = None
    logprobs_mode: LogProbsMode | None = None
    grammar: GrammarRequest | None = None
    whitespace: Annotated[int, Field(ge=0, le=MAX_WHITESPACE)] | None = None
    overflow: Literal["error", "roll"] | None = None
    timeout_s: float | None = None
    tools: ActingModel | None = None
    answer: Literal["extractive", "generative"] | None = None
    unsupported: Literal["strike", "flag"] | None = None
    trace: bool = False


class ChatCompletionRequest(RequestModel):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: Stop | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    causerie: Extension | None = None

    n: int | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    prediction: PredictionModel | None = None

    # Values that would change the answer and cannot be honoured.
    functions: NoFunctions = None
    function_call: NoFunctions = None
    modalities: Annotated[JsonValue, only(["text"], remedy=NO_AUDIO)] = None
    audio: Annotated[JsonValue, only(remedy=NO_AUDIO)] = None
    moderation: Annotated[JsonValue, only(remedy="leave it out; nothing is moderated")] = None
    web_search_options: Annotated[
        JsonValue, only(remedy="leave it out; causerie.collection names what is searched")
    ] = None

    # Fields without an effect here.
    metadata: JsonValue = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonValue = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    user: str | None = None
    verbosity: str | None = None

    @property
    def extension(self) -> Extension:
        """Our own parameters; all defaults where none were sent."""
        return self.causerie or Extension()

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def to_turn_request(
        self, *, owner: str, max_tokens: int, call_form: CallForm = OWN
    ) -> TurnRequest:
        """Return the turn that is asked for; `max_tokens` applies where none is sent.

        `call_form` is how the model that answers writes calls.

        Raises:
            RequestError: a value is out of its range.
        """
        self._check_pairs()
        params = self._params(max_tokens)
        tools = self._tools(call_form)
        with caller_mistakes("messages"):
            return TurnRequest(
                messages=tuple(message.to_message() for message in self.messages),
                params=params,
                spec=replace(
                    self.extension.to_spec(prediction=self.prediction, num_choices=self.n),
                    grammar=self._grammar(tools),
                ),
                tools=tools,
                evidence_form=None
                if self.extension.grammar is None
                else self.extension.grammar.evidence_form,
                acting=None if self.extension.tools is None else self.extension.tools.to_acting(),
                answer=self.extension.answer,
                unsupported=self.extension.unsupported or "strike",
                trace=self.extension.trace,
                collection=self.extension.collection,
                conversation_id=self.extension.conversation,
                owner=owner,
            )

    @property
    def has_form(self) -> bool:
        """Whether a parameter asks for a form of the answer."""
        is_typed = self.response_format is not None and self.response_format.type != "text"
        return is_typed or bool(self.tools) or self.extension.grammar is not None

    @property
    def grammar_param(self) -> str:
        """Which parameter asks for a form of the answer."""
        if self.extension.grammar is not None:
            return "causerie.grammar"
        return "tools" if self.tools and self.tool_choice != "none" else "response_format"

    def _tools(self, form: CallForm) -> ToolUse | None:
        return to_tool_use(
            self.tools,
            self.tool_choice,
            is_parallel=self.parallel_tool_calls is not False,
            max_whitespace=self.extension.whitespace or 0,
            form=form,
        )

    def _grammar(self, tools: ToolUse | None) -> GrammarSpec | None:
        """Return the form of the answer; only one parameter may ask for one."""
        whitespace = self.extension.whitespace or 0
        asked: dict[str, GrammarSpec | None] = {}
        if self.response_format is not None and self.response_format.type != "text":
            asked["response_format"] = None
        if self.extension.grammar is not None:
            asked["causerie.grammar"] = None
        if tools is not None:
            asked["tools"] = None
        if len(asked) > 1:
            first, second, *_ = asked
            raise _refused_pair(
                first, second, "each gives the answer a form; send one, or 'tool_choice': 'none'"
            )
        if tools is not None:
            return tools.grammar(max_whitespace=whitespace)
        if self.extension.grammar is not None:
            return self.extension.grammar.grammar(max_whitespace=whitespace)
        if self.response_format is not None:
            return self.response_format.grammar(max_whitespace=whitespace)
        return None

    def _params(self, max_tokens: int) -> SamplingParams:
        """Return how tokens are drawn; an error names the parameter at fault."""
        given = {name: value for name, value in self._sampling().items() if value is not None}
        for name, value in given.items():
            # One at a time, so that the error names the parameter at fault.
            prefix = "causerie." if name in Extension.model_fields else ""
            with caller_mistakes(f"{prefix}{name}", prefix=prefix):
                given[name] = value.to_value() if hasattr(value, "to_value") else value
                SamplingParams(**{name: given[name]})
        with caller_mistakes("causerie.mirostat", prefix="causerie."):  # the only pair of cuts
            SamplingParams(**{name: value for name, value in given.items() if name in _CUTS})
        limit = self.max_completion_tokens if self.max_tokens is None else self.max_tokens
        with caller_mistakes("max_tokens"):
            return SamplingParams(**given, max_tokens=max_tokens if limit is None else limit)

    def _sampling(self) -> Mapping[str, Any]:
        """Return what was sent of the parameters that `SamplingParams` has, None where nothing."""
        ours = {name: getattr(self.extension, name) for name in _SAMPLING_EXTENSIONS}
        given: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "logit_bias": None if self.logit_bias is None else sorted(self.logit_bias.items()),
            "logprobs": self.logprobs,
            "top_logprobs": self.top_logprobs,
            **ours,
        }
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }

    def _check_pairs(self) -> None:
        if self.stream_options is not None and not self.stream:
            raise RequestError(
                400,
                "stream_options needs 'stream': true; leave it out or stream",
                param="stream_options",
                code="invalid_value",
            )
        if len({self.max_tokens, self.max_completion_tokens} - {None}) > 1:
            raise RequestError(
                400,
                f"max_tokens {self.max_tokens} and max_completion_tokens"
                f" {self.max_completion_tokens} contradict each other; send one of them",
                param="max_completion_tokens",
                code="invalid_value",
            )
        if self.top_logprobs and not self.logprobs:
            raise RequestError(
                400,
                f"top_logprobs {self.top_logprobs} needs 'logprobs': true; send it too",
                param="top_logprobs",
                code="invalid_value",
            )
        if self.extension.conversation is not None and self.tools:
            raise _refused_pair(
                "tools", "causerie.conversation", "a stored one keeps no calls; send the whole chat"
            )


def _refused_pair(first: str, second: str, why: str) -> RequestError:
    return RequestError(
        400,
        f"{first} and {second} exclude each other: {why}",
        param=first,
        code="refused_pair",
    )
