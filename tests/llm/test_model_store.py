"""The store finds, checks and names models; what it fetches them with is tested beside it."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from llm.errors import ModelStoreError, UnknownModelError
from llm.model_catalog import CATALOG, WheelSource
from llm.model_store import ModelState, ModelStore
from tests.llm.tiny_wheel import laid_out, tiny_card


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home", catalog=[tiny_card()])


# --- the catalog -----------------------------------------------------------------------------


def test_the_catalog_names_source_licence_size_and_hash_of_every_file() -> None:
    assert [card.name for card in CATALOG] == ["smollm2-135m-instruct", "all-minilm-l6-v2"]
    for card in CATALOG:
        assert card.license == "Apache-2.0"
        assert isinstance(card.source, WheelSource)
        assert card.source.num_bytes > 80_000_000
        assert all(len(file.sha256) == 64 and file.num_bytes > 0 for file in card.files)
        assert not any(file.name.endswith((".py", ".bin", ".pt")) for file in card.files)
        assert not card.entry or card.entry in {file.name for file in card.files}


@pytest.mark.weights
def test_the_default_models_have_their_hashes(models: ModelStore) -> None:
    for card in CATALOG:
        stored = models.verify(card.name)
        assert stored.state is ModelState.PRESENT, stored.problems
        assert models.path(card.name).exists()


# --- finding ---------------------------------------------------------------------------------


def test_states_are_told_by_the_sizes_of_the_files(store: ModelStore) -> None:
    assert store.list()[0].state is ModelState.MISSING
    assert not store.folder.exists()
    laid_out(store)
    assert store.list()[0].state is ModelState.PRESENT
    (store.folder / "tiny" / "sub" / "config.json").unlink()
    stored = store.list()[0]
    assert stored.state is ModelState.DAMAGED
    assert stored.problems == ("sub/config.json is missing",)


def test_a_model_that_is_there_costs_neither_network_nor_time(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(store)
    monkeypatch.setattr(subprocess, "Popen", None)
    start = time.perf_counter()
    assert store.pull("tiny") == store.path("tiny") == store.resolve("tiny")
    assert time.perf_counter() - start < 0.05


def test_a_missing_model_names_the_command_that_fetches_it(store: ModelStore) -> None:
    with pytest.raises(ModelStoreError, match="run python -m api models pull tiny"):
        store.path("tiny")


@pytest.mark.parametrize("ask", ["path", "pull", "resolve", "info"])
def test_an_unknown_name_lists_what_there_is(store: ModelStore, ask: str) -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'tinny'; did you mean 'tiny'\?"):
        getattr(store, ask)("tinny")


def test_a_local_gguf_file_is_taken_as_it_is(store: ModelStore, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    assert store.resolve(str(path)) == store.path(str(path)) == path
    assert store.resolve(str(tmp_path)) == path


def test_a_local_folder_needs_config_tokenizer_and_safetensors(
    store: ModelStore, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(UnknownModelError, match=r"lacks tokenizer\.json, \*\.safetensors"):
        store.resolve(str(folder))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_text("")
    with pytest.raises(UnknownModelError, match="can run code"):
        store.resolve(str(folder))
    (folder / "model.safetensors").write_text("")
    assert store.resolve(str(folder)) == folder


def test_a_path_that_does_not_exist_is_not_taken_for_a_repository(store: ModelStore) -> None:
    for source in ("./missing/model", "/missing/model.gguf", "missing.gguf", "~/missing"):
        with pytest.raises(UnknownModelError, match="no file or folder"):
            store.resolve(source)


def test_other_files_and_folders_of_several_models_are_refused(
    store: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_text("")
    with pytest.raises(UnknownModelError, match=r"is not a \.gguf file"):
        store.resolve(str(tmp_path / "model.bin"))
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_text("")
    with pytest.raises(UnknownModelError, match="holds 2 GGUF files"):
        store.resolve(str(tmp_path))


def test_a_local_folder_named_like_a_model_does_not_hide_it(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(laid_out(store).folder / "tiny", tmp_path / "tiny")
    assert store.resolve("tiny") == store.folder / "tiny" / "weights.gguf"
