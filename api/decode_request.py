"""How a request wants its answer decoded, on the wire, and the `DecodeSpec` that it means.

The models have no defaults of their own: what is not sent is what `llm/decoding/spec.py` says.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal

from pydantic import Field

from api.error_table import caller_mistakes
from api.request_model import Content, RequestModel
from api.settings import SchemeName
from llm.decoding.spec import (
    MAX_STEERS,
    Contrast,
    DecodeSpec,
    DrafterName,
    Experts,
    Search,
    SearchMethod,
    Speculation,
    Steer,
    SteerMethod,
    UtilityName,
)
from llm.sampling_params import Dry, Mirostat


class SteerModel(RequestModel):
    """A scorer that the text should please."""

    scorer: str
    weight: float | None = None
    method: SteerMethod | None = None
    candidates: int | None = None


class ExpertsModel(RequestModel):
    """An expert to follow and one to shun."""

    expert: str
    anti_expert: str
    weight: float | None = None
    top_p: float | None = None


class ContrastModel(RequestModel):
    """A weaker model whose preferences are held against a token."""

    amateur: str | None = None
    weight: float | None = None
    head: float | None = None


class SpeculationModel(RequestModel):
    """How tokens are drafted."""

    drafter: DrafterName | None = None
    verify: Literal["exact", "rejection"] | None = None
    max_draft: int | None = None
    ngram: str | None = None


class SearchModel(RequestModel):
    """How one answer is found among several."""

    method: SearchMethod | None = None
    width: int | None = None
    groups: int | None = None
    diversity: float | None = None
    length_penalty: float | None = None
    utility: UtilityName | None = None
    answer_regex: str | None = None


class MirostatModel(RequestModel):
    """A cut that keeps the surprise of the text."""

    tau: float | None = None
    eta: float | None = None

    def to_value(self) -> Mirostat:
        """Return what `SamplingParams` takes."""
        return Mirostat(**_sent(self))


class DryModel(RequestModel):
    """A penalty on prolonging a repetition."""

    multiplier: float
    base: float | None = None
    allowed_length: int | None = None
    breakers: list[str] | None = None

    def to_value(self) -> Dry:
        """Return what `SamplingParams` takes."""
        sent = _sent(self)
        if self.breakers is not None:
            sent["breakers"] = tuple(self.breakers)
        return Dry(**sent)


class PredictionModel(RequestModel):
    """A text that the answer is expected to resemble."""

    type: Literal["content"]
    content: Content


class DecodeExtension(RequestModel):
    """Our own parameters that say how the answer is decoded."""

    steer: Annotated[list[SteerModel], Field(max_length=MAX_STEERS)] | None = None
    experts: ExpertsModel | None = None
    contrast: ContrastModel | None = None
    context_faithfulness: float | None = None
    speculation: SpeculationModel | None = None
    search: SearchModel | None = None
    mark: Literal["auto", "off", SchemeName] | None = None

    def to_spec(self, *, prediction: PredictionModel | None, num_choices: int | None) -> DecodeSpec:
        """Return what is asked of the decoder, without a grammar.

        Raises:
            RequestError: a value is out of its range; names its parameter.
        """
        given: dict[str, Any] = {}
        if self.steer:
            with _mistakes("steer"):
                given["steer"] = tuple(Steer(**_sent(one)) for one in self.steer)
        if self.experts is not None:
            with _mistakes("experts"):
                given["experts"] = Experts(**_sent(self.experts))
        if self.contrast is not None:
            with _mistakes("contrast"):
                given["contrast"] = Contrast(**_sent(self.contrast))
        if self.context_faithfulness is not None:
            with caller_mistakes("causerie.context_faithfulness", prefix="causerie."):
                given["context_faithfulness"] = self.context_faithfulness
                DecodeSpec(context_faithfulness=self.context_faithfulness)
        if self.search is not None:
            with _mistakes("search"):
                given["search"] = Search(**_sent(self.search))
        if self.mark is not None:
            given["mark"] = self.mark
        given["speculation"] = self._speculation(prediction)
        with caller_mistakes("n"):
            return DecodeSpec(**given, num_choices=1 if num_choices is None else num_choices)

    def _speculation(self, prediction: PredictionModel | None) -> Speculation:
        sent = {} if self.speculation is None else _sent(self.speculation)
        if prediction is not None:
            with caller_mistakes("prediction"):
                Speculation(prediction=prediction.content)
            sent["prediction"] = prediction.content
        with _mistakes("speculation"):
            return Speculation(**sent)


def _mistakes(name: str) -> AbstractContextManager[None]:
    param = f"causerie.{name}"
    return caller_mistakes(param, prefix=f"{param}: ")


def _sent(model: RequestModel) -> dict[str, Any]:
    """Return the fields of a model that were sent and hold something."""
    fields: Mapping[str, Any] = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: value for name, value in fields.items() if value is not None}
