from typing import Any

import pytest

from llm.sampling_params import Dry, Mirostat, SamplingParams

REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"top_k": -1}, "top_k"),
    ({"top_p": 0.0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_p": float("nan")}, "top_p"),
    ({"min_p": 1.1}, "min_p"),
    ({"typical_p": 0.0}, "typical_p"),
    ({"epsilon_cutoff": 1.0}, "epsilon_cutoff"),
    ({"eta_cutoff": -0.1}, "eta_cutoff"),
    ({"top_n_sigma": -1.0}, "top_n_sigma"),
    ({"top_n_sigma": float("inf")}, "top_n_sigma"),
    ({"seed": 2**64}, "seed"),
    ({"repetition_penalty": 0.0}, "repetition_penalty"),
    ({"repetition_penalty": float("inf")}, "repetition_penalty"),
    ({"repetition_scope": "prompt"}, "repetition_scope"),
    ({"presence_penalty": 2.1}, "presence_penalty"),
    ({"frequency_penalty": float("nan")}, "frequency_penalty"),
    ({"logit_bias": ((-1, 1.0),)}, "logit_bias"),
    ({"logit_bias": ((2**18, 1.0),)}, "logit_bias"),
    ({"logit_bias": ((1, float("nan")),)}, "logit_bias"),
    ({"logit_bias": ((1, 1.0), (1, 2.0))}, "twice"),
    ({"allowed_token_ids": ()}, "allowed_token_ids is empty"),
    ({"allowed_token_ids": (-1,)}, "allowed_token_ids"),
    ({"banned_token_ids": (-1,)}, "banned_token_ids"),
    ({"allowed_strings": ("",)}, "allowed_strings"),
    ({"banned_strings": ("a", "")}, "banned_strings"),
    ({"banned_strings": ("a",) * 1025}, "1024 strings"),
    ({"banned_strings": ("é" * 8193,)}, "16384 bytes"),
    ({"banned_strings": ("\ud800",)}, "surrogate"),
    ({"min_tokens": -1}, "min_tokens"),
    ({"min_tokens": 9, "max_tokens": 8}, "min_tokens 9 is more than max_tokens 8"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"stop": ("a",) * 17}, "stop strings"),
    ({"stop": ("",)}, "stop string"),
    ({"stop_regex": ("a",) * 5}, "stop_regex"),
    ({"stop_regex": ("a{99999}",)}, "stop_regex"),
    ({"stop_regex": ("(",)}, "stop_regex"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"logprobs_mode": "marked"}, "logprobs_mode"),
    ({"overflow": "drop"}, "overflow"),
    ({"timeout_s": 0.0}, "timeout_s"),
)


@pytest.mark.untyped
@pytest.mark.parametrize(("knobs", "named"), REFUSED, ids=repr)
def test_a_value_out_of_range_is_refused_by_name(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SamplingParams(**knobs)


@pytest.mark.parametrize(
    "other",
    [
        {"top_k": 5},
        {"top_p": 0.9},
        {"min_p": 0.1},
        {"typical_p": 0.9},
        {"epsilon_cutoff": 0.1},
        {"eta_cutoff": 0.1},
        {"top_n_sigma": 1.0},
    ],
    ids=repr,
)
def test_mirostat_stands_alone(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"mirostat replaces .* {next(iter(other))} or"):
        SamplingParams(mirostat=Mirostat(), **other)


@pytest.mark.parametrize("knobs", [{"tau": 0.0}, {"tau": float("inf")}, {"eta": 0.0}], ids=repr)
def test_mirostat_refuses_what_cannot_be_followed(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="mirostat"):
        Mirostat(**knobs)


@pytest.mark.parametrize(
    "knobs",
    [
        {"multiplier": -1.0},
        {"multiplier": float("nan")},
        {"base": 0.5},
        {"allowed_length": 0},
        {"breakers": ("",)},
        {"breakers": ("a",) * 65},
    ],
    ids=repr,
)
def test_dry_refuses_what_makes_no_sense(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="dry"):
        Dry(**{"multiplier": 1.0, **knobs})


def test_biases_are_bans_orders_and_preferences() -> None:
    params = SamplingParams(
        logit_bias=((1, -100.0), (2, 100.0), (3, 99.5), (4, -1e6)), banned_token_ids=(9,)
    )
    assert params.all_banned_token_ids == {1, 4, 9}
    assert params.forced_token_ids == {2}
    assert params.finite_bias == ((3, 99.5),)


def test_parameters_can_be_told_apart_and_kept_in_sets() -> None:
    one = SamplingParams(dry=Dry(multiplier=1.0), logit_bias=((1, 2.0),))
    assert one == SamplingParams(dry=Dry(multiplier=1.0), logit_bias=((1, 2.0),))
    assert len({one, SamplingParams()}) == 2
