import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.access import own_caller, own_key, owner_of
from api.application import Application
from api.cli import terminal_dialogue
from api.cli.desks import KEY_VARIABLE
from api.cli.main import main
from api.settings import Settings, load_settings
from api.state_lock import held
from api.testing import ScriptedAgent, application_of_doubles, wait_until
from dialog.session import ALL_OWNERS
from index.errors import SchemaVersionError
from llm.errors import ContextOverflowError
from llm.model_store import ModelStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_completions import index_one


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Application]]:
    """Make the commands work on doubles; gives the applications that they built."""
    built: list[Application] = []
    with ExitStack() as stack:

        def build(settings: Settings, *, on_progress: Any = None) -> Application:
            application = stack.enter_context(
                application_of_doubles(settings.state, tenant_keys=settings.tenant_keys)
            )
            built.append(application)
            return application

        def topics(application: Application, on_progress: Any = None) -> None:
            index_one(application, application.settings.default_collection)

        monkeypatch.setattr(bootstrap, "prepare_models", lambda *_: None)
        monkeypatch.setattr(bootstrap, "build", build)
        monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
        monkeypatch.setattr(ModelStore, "resolve", lambda *_: None)
        monkeypatch.setattr(bootstrap, "index_language_topics", topics)
        yield built


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str | BaseException) -> None:
    left = list(lines)

    def answer(*_: object) -> str:
        if not left:
            raise EOFError
        line = left.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setattr("builtins.input", answer)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("causerie ")


def test_a_known_fault_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise SchemaVersionError("the database is newer than this program; upgrade it")

    monkeypatch.setattr(bootstrap, "prepare_models", fail)
    assert run("chat", "--question", "Hello?") == 1
    captured = capsys.readouterr()
    assert captured.err.strip() == "error: the database is newer than this program; upgrade it"
    assert captured.out == ""


def test_a_bad_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAUSERIE_MAX_TOKENS", "many")
    assert run("chat", "--question", "Hello?") == 1
    assert capsys.readouterr().err.startswith("error: CAUSERIE_MAX_TOKENS")


def test_one_question_is_answered_with_its_sources(
    doubles: list[Application], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("chat", "--question", "closure?") == 0
    out = capsys.readouterr().out
    assert out.startswith("It is so.\n")
    assert "[1] Scope — scope.txt" in out
    (application,) = doubles
    assert application.readiness.reason == "the service is stopping"  # closed


def test_one_question_is_answered_as_json(
    doubles: list[Application], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("chat", "--question", "closure?", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["answer"] == "It is so."
    assert answer["citations"][0]["uri"] == "scope.txt"
    assert answer["conversation"].startswith("conv_")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json",),
        ("--question", " "),
        ("--new", "--conversation", "x"),
        ("--conversation", "x", "--collection", "y"),
        ("--plain", "--collection", "y"),
        ("--nonsense",),
    ],
)
def test_options_that_contradict_each_other_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run("chat", *arguments) == 2


def test_an_unknown_collection_is_one_sentence(
    doubles: list[Application], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("chat", "--collection", "nope", "--question", "Hello?") == 1
    assert "no collection is called 'nope'" in capsys.readouterr().err


def test_a_dialogue_answers_shows_sources_and_leaves(
    doubles: list[Application], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(
        monkeypatch,
        "/source 1",
        "closure?",
        "/source 1",
        "/source 9",
        "/help",
        "/dance",
        "",
        KeyboardInterrupt(),
        "/quit",
        "never read",
    )
    assert run("chat") == 0
    out = capsys.readouterr().out
    assert "the last answer cites nothing" in out
    assert "It is so." in out
    assert "A closure keeps the names" in out
    assert "the last answer cites 1" in out
    assert "Ctrl-C" in out
    assert "no command /dance" in out
    assert "--conversation conv_" in out
    assert "never read" not in out


def test_a_stored_conversation_goes_on(
    doubles: list[Application], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("chat", "--plain", "--question", "One?", "--json")
    id_ = json.loads(capsys.readouterr().out)["conversation"]
    type_in(monkeypatch, "Two?")
    assert run("chat", "--conversation", id_) == 0
    with application_of_doubles(load_settings().state) as application:
        (info,) = application.sessions.list(ALL_OWNERS)
    assert (info.id, info.num_turns, info.collection) == (id_, 2, None)
    assert run("chat", "--conversation", "conv_x", "--question", "Three?") == 1
    assert "'conv_x'" in capsys.readouterr().err


def test_ctrl_c_stops_the_answer_and_not_the_dialogue(
    doubles: list[Application], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = terminal_dialogue._next
    calls = 0

    def interrupted(parts: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            agent = doubles[0].agent
            assert isinstance(agent, ScriptedAgent)
            agent.delay_s = 30.0
            raise KeyboardInterrupt
        return original(parts)

    monkeypatch.setattr(terminal_dialogue, "_next", interrupted)
    type_in(monkeypatch, "closure?", "/help")
    assert run("chat") == 0
    out = capsys.readouterr().out
    assert "(stopped)" in out
    assert "Ctrl-C" in out.partition("(stopped)")[2]


def test_an_error_in_a_turn_ends_with_its_sentence(
    doubles: list[Application], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = bootstrap.build

    def failing(settings: Settings, *, on_progress: Any = None) -> Application:
        application = original(settings, on_progress=on_progress)
        assert isinstance(application.agent, ScriptedAgent)
        application.agent.error = ContextOverflowError(num_tokens=9, limit=4)
        return application

    monkeypatch.setattr(bootstrap, "build", failing)
    assert run("chat", "--question", "closure?") == 1
    assert "5 more than the 4" in capsys.readouterr().err


def test_files_are_ingested_with_a_summary(
    doubles: list[Application], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("The cat sleeps.")
    (folder / "b.md").write_text("# Dogs\n\nA dog barks.")
    assert run("ingest", str(folder), "--collection", "pets") == 0
    out = capsys.readouterr().out
    assert "notes/a.txt" in out
    assert "pets: 2 added" in out
    assert run("ingest", str(folder), "--collection", "pets", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["added"], report["unchanged"]) == (0, 2)


def test_a_broken_file_is_reported_and_the_rest_goes_in(
    doubles: list[Application], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "a.txt", tmp_path / "b.bin"
    good.write_text("The cat sleeps.")
    bad.write_bytes(b"\x00\x01\x02" * 50)
    assert run("ingest", str(bad), str(good), "--collection", "pets", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["failed"], report["added"]) == (1, 1)
    assert report["files"][0]["reason"]
    assert [file["code"] for file in report["files"]] == ["unsupported", None]
    assert run("ingest", str(bad), "--collection", "pets") == 1
    assert "failed(unsupported)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("no/such/file", "--collection", "pets"),
        (".", "--collection", "../pets"),
        (".",),
        ("--collection", "pets"),
    ],
)
def test_wrong_usage_of_ingest_is_told_apart(arguments: tuple[str, ...]) -> None:
    assert run("ingest", *arguments) == 2


def test_beside_a_running_server_the_commands_ask_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded here")

    monkeypatch.setattr(bootstrap, "build", fail)
    monkeypatch.setattr(bootstrap, "prepare_models", fail)
    monkeypatch.setattr(bootstrap, "embedder_alone", fail)
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("The cat sleeps.")
    (folder / "sub" / "a.txt").write_text("A dog barks loudly.")
    (folder / "skip.exe").write_text("x")
    state = load_settings().state
    with (
        application_of_doubles(state, api_keys=("right-key-1",), admin_key="admin-key-2") as built,
        serving(built) as live,
        held(state, live.address),
    ):
        monkeypatch.setenv(KEY_VARIABLE, "wrong-key-1")
        assert run("ingest", str(folder), "--collection", "pets") == 1
        assert KEY_VARIABLE in capsys.readouterr().err
        monkeypatch.setenv(KEY_VARIABLE, "right-key-1")
        assert run("ingest", str(folder), "--collection", "pets", "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["added"], report["skipped"]) == (2, 1)
        assert {f["uri"] for f in report["files"]} == {
            "notes/a.txt",
            "notes/skip.exe",
            "notes/sub/a.txt",
        }
        assert run("ingest", str(folder), "--collection", "pets", "--json") == 0
        assert json.loads(capsys.readouterr().out)["unchanged"] == 2

        type_in(monkeypatch, "The cat?", "/source 1")
        assert run("chat", "--collection", "pets") == 0
        out = capsys.readouterr().out
        assert "It is so." in out
        assert "[1] " in out
        assert "The cat sleeps." in out
        assert run("chat", "--collection", "pets", "--question", "The cat?", "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["citations"][0]["quote"]
        assert answer["timings"]["tokens_per_s"] == 6.0
        assert run("chat", "--collection", "nope", "--question", "x") == 1
        assert "'nope'" in capsys.readouterr().err
        agent = built.agent
        assert isinstance(agent, ScriptedAgent)
        agent.error, agent.num_words_before_error = RuntimeError("boom"), 1
        assert run("chat", "--collection", "pets", "--question", "x") == 1
        assert "the server failed" in capsys.readouterr().err


@pytest.mark.parametrize("is_served", [False, True])
def test_a_tenant_has_files_and_conversations_of_its_own(
    doubles: list[Application],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_served: bool,
) -> None:
    del doubles
    monkeypatch.setenv("CAUSERIE_TENANT_KEYS", "acme=key-of-acme")
    monkeypatch.setenv("CAUSERIE_API_KEYS", "key-of-nobody")
    (tmp_path / "a.txt").write_text("The cat sleeps.")
    with ExitStack() as stack:
        if is_served:
            settings = load_settings()
            built = stack.enter_context(
                application_of_doubles(
                    settings.state, api_keys=settings.api_keys, tenant_keys=settings.tenant_keys
                )
            )
            live = stack.enter_context(serving(built))
            stack.enter_context(held(settings.state, live.address))
        of_acme = ("--collection", "pets", "--tenant", "acme")
        assert run("ingest", str(tmp_path / "a.txt"), *of_acme) == 0
        capsys.readouterr()
        assert run("chat", *of_acme, "--question", "The cat?", "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["citations"][0]["quote"]
        assert run("chat", "--collection", "pets", "--question", "The cat?") == 1
        assert "'pets'" in capsys.readouterr().err
        assert run("ingest", str(tmp_path / "a.txt"), "--collection", "c", "--tenant", "no") == 1
        assert "no tenant is called 'no'" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with held(load_settings().state, "http://127.0.0.1:9"):
        assert run("chat", "--question", "x") == 1
    assert "http://127.0.0.1:9 cannot be asked" in capsys.readouterr().err


def test_in_process_conversations_belong_to_the_first_key(
    doubles: list[Application], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with application_of_doubles(tmp_path, api_keys=("first-key", "second-key")) as built:
        assert own_caller(built.settings).owner == owner_of("first-key")
        assert own_key(built.settings) == "first-key"
    with application_of_doubles(tmp_path, admin_key="admin-key") as built:
        caller = own_caller(built.settings)
        assert (caller.owner, caller.sees) == (owner_of("admin-key"), ALL_OWNERS)
        assert own_key(built.settings) == "admin-key"
    with application_of_doubles(tmp_path) as built:
        assert own_caller(built.settings).sees == ""
        assert own_key(built.settings) is None
    assert wait_until(lambda: threading.active_count() < 50)
