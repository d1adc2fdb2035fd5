"""Values that are possible each for itself, but not together, not here or not for this model."""

from pathlib import Path

import pytest

from api import bootstrap
from api.errors import ConfigurationError
from api.settings import load_settings, unworkable_settings
from llm.native.loader import kernel_paths
from tests.llm.tiny_engine import packable_decoder


@pytest.fixture(autouse=True)
def a_tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its context is 512 tokens. No garbage is collected: other tests' may hold open resources."""
    monkeypatch.setattr(bootstrap, "load_decoder", lambda _: packable_decoder())
    monkeypatch.setattr(bootstrap, "give_back", lambda: None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"context_size": 100_000, "cache_tokens": 200},
            "CAUSERIE_CACHE_TOKENS 200 cannot hold one context of 100000 tokens",
        ),
        (
            {"cache_tokens": 10**14},
            "CAUSERIE_CACHE_TOKENS 100000000000000 need .* this machine has",
        ),
        ({"kernels": "warp"}, "CAUSERIE_KERNELS 'warp' cannot run here; choose auto, torch or"),
        ({"kernels": "torch", "precision": "int8"}, "precision int8 needs the kernels"),
    ],
)
def test_the_engine_is_not_built_and_the_sentence_names_the_variable(
    values: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        bootstrap.build_engine(load_settings(**values), Path("unread"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("(docs/settings.md lists the settings)")


def test_kernels_in_float32_are_a_contradiction() -> None:
    for path in kernel_paths():
        settings = load_settings(kernels=path, precision="float32")
        with pytest.raises(ConfigurationError, match=f"CAUSERIE_KERNELS '{path}' compute in int8"):
            bootstrap.build_engine(settings, Path("unread"))


def test_more_threads_than_cores_are_told_before_a_model_is_read(tmp_path: Path) -> None:
    settings = load_settings(threads=1024, home=tmp_path)
    with pytest.raises(ConfigurationError, match=r"CAUSERIE_THREADS must be in .*; got 1024"):
        bootstrap.build(settings)


def test_settings_that_can_work_build_an_engine_that_says_how_it_runs() -> None:
    engine = bootstrap.build_engine(
        load_settings(threads=1, cache_tokens=640, max_concurrent=3), Path("unread")
    )
    state = engine.state()
    assert (state.context_size, state.num_blocks, state.limits.max_running) == (512, 40, 3)
    assert engine.model.compute.reason


def test_only_a_setting_s_own_name_is_spelled_as_a_variable() -> None:
    refused = pytest.raises(ConfigurationError, match=r"^the threads are tired \(docs")
    with refused, unworkable_settings():
        raise ValueError("the threads are tired")
    with pytest.raises(KeyError), unworkable_settings():
        raise KeyError("threads")
