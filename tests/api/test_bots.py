"""Bots over HTTP: opened, talked to, looked into, taken over, read anew; nothing is done twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.bot_bootstrap import agent_maker
from api.bot_service import BotService
from api.testing import application_of_doubles, read_events
from dialog.task.agent import AgentParts
from dialog.task.event_log import MemoryTaskLog
from dialog.task.testing import NOW
from tests.api.conftest import LiveServer, local_client, serving

BOT = """\
bot: Corner Table
conversation: {idle: 30m}
tasks:
  book_table:
    about: book a table
    slots:
      date: date
      time: time
      people: {type: integer, min: 1, max: 12}
      name: person
    confirm: explicit
    call: reserve
    done: "Booked for {people} on {date} at {time}. Your code is {result.code}."
behaviour:
  handoff: {when: [user_asks], to: tables}
"""
TOOLS = """\
_made = []
def reserve(date, time, people, name):
    _made.append(name)
    return {"code": f"T{len(_made)}"}
"""
ANSWERS = ("I want to book a table", "7 March 2025", "at 19:30", "four people", "Ana Lind")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corner = tmp_path / "bots" / "corner"
    corner.mkdir(parents=True)
    (corner / "bot.yaml").write_text(BOT)
    (corner / "tools.py").write_text(TOOLS)
    return tmp_path / "bots"


class Clock:
    now = NOW

    def __call__(self) -> Any:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def application(tmp_path: Path, folder: Path, clock: Clock) -> Iterator[Application]:
    with application_of_doubles(tmp_path / "state") as doubles:
        yield with_bots(doubles, folder, clock)


def with_bots(doubles: Application, folder: Path, clock: Clock) -> Application:
    log = MemoryTaskLog()
    maker = agent_maker(log, parts=AgentParts(clock=clock, memory=log))
    bots = BotService([folder, doubles.settings.state / "bots"], log, maker, clock=clock)
    bots.load_all()
    return replace(doubles, bots=bots)


def opened(client: TestClient, **body: Any) -> str:
    response = client.post("/v1/bots/corner/conversations", json=body)
    assert response.status_code == 201, response.text
    found: str = response.json()["id"]
    return found


def say(client: TestClient, conversation: str, content: str = "", **more: Any) -> dict[str, Any]:
    path = f"/v1/conversations/{conversation}/messages"
    response = client.post(path, json={"content": content, **more})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def asked_to_confirm(client: TestClient) -> str:
    conversation = opened(client)
    turn = [say(client, conversation, words) for words in ANSWERS][-1]
    assert [act["name"] for act in turn["acts"]][-1] == "CONFIRM"
    return conversation


def test_a_booking_over_http(client: TestClient) -> None:
    conversation = asked_to_confirm(client)
    state = client.get(f"/v1/conversations/{conversation}/state").json()
    slots = {slot["name"]: slot for slot in state["tasks"][0]["slots"]}
    assert slots["people"]["value"] == 4
    assert slots["people"]["status"] == "grounded"
    turn = say(client, conversation, "yes")
    assert "Your code is T1." in turn["text"]
    said = client.get(f"/v1/conversations/{conversation}/messages").json()["data"]
    assert [m["content"] for m in said if m["role"] == "user"] == [*ANSWERS, "yes"]


def test_the_same_message_twice_is_one_booking(client: TestClient) -> None:
    conversation = asked_to_confirm(client)
    first = say(client, conversation, "yes", id="m-yes")
    again = say(client, conversation, "yes", id="m-yes")
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["text"] == first["text"]
    assert "T1" in first["text"]


def test_a_button_says_what_it_stands_for(client: TestClient) -> None:
    conversation = opened(client)
    turn = [say(client, conversation, words) for words in ANSWERS][-1]
    yes = next(b for b in turn["buttons"] if b["title"].lower().startswith("yes"))
    assert "Your code" in say(client, conversation, yes["title"], button=yes["payload"])["text"]
    response = client.post(f"/v1/conversations/{conversation}/messages", json={"button": "no such"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "unknown_button"


def test_a_stream_says_in_the_bots_words_that_a_call_takes_long(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.bots.HOLD_S", 0.05)
    bot = folder / "corner" / "bot.yaml"
    bot.write_text(BOT + "say: {one_moment: I am ringing the kitchen.}\n")
    slow = TOOLS.replace("    _made.append(name)\n", "    sleep(0.5)\n    _made.append(name)\n")
    (folder / "corner" / "tools.py").write_text("from time import sleep\n" + slow)
    assert client.post("/v1/bots", json={"name": "corner"}).status_code == 201
    conversation = asked_to_confirm(client)
    path = f"/v1/conversations/{conversation}/messages"
    response = client.post(path, json={"content": "yes", "stream": True})
    events = [event for event in read_events(response.text) if isinstance(event, dict)]
    assert events[0].get("type") == "bot.hold"
    assert events[0]["text"] == "I am ringing the kitchen."
    assert "Your code" in events[-1]["text"]


def test_a_person_is_remembered_in_the_next_conversation(client: TestClient, folder: Path) -> None:
    kept = BOT.replace("name: person", "name: {type: person, keep: user}")
    (folder / "corner" / "bot.yaml").write_text(kept)
    assert client.post("/v1/bots", json={"name": "corner"}).status_code == 201
    first = opened(client, person="u1")
    for words in ANSWERS:
        say(client, first, words)
    turn = say(client, opened(client, person="u1"), ANSWERS[0])
    assert turn["slots"] == {"name": "Ana Lind"}
    assert say(client, opened(client, person="u2"), ANSWERS[0])["slots"] == {}


def test_a_stream_ends_with_the_turn(client: TestClient) -> None:
    conversation = opened(client)
    path = f"/v1/conversations/{conversation}/messages"
    response = client.post(path, json={"content": ANSWERS[0], "stream": True})
    *_, turn, done = read_events(response.text)
    assert done == "[DONE]"
    assert isinstance(turn, dict)
    assert turn["type"] == "bot.turn"
    assert turn["text"]


def test_the_card_tells_words_commands_changes_and_lines(client: TestClient) -> None:
    conversation = opened(client)
    say(client, conversation, ANSWERS[0])
    say(client, conversation, "on 7 March 2025 for four people")
    card = client.get(f"/v1/conversations/{conversation}/turns/2").json()
    spans = {s["slot"]: card["user"][s["start"] : s["end"]] for s in card["spans"]}
    assert "7 March 2025" in spans["date"]
    assert {change["slot"] for change in card["changes"]} == {"date", "people"}
    assert all(0 < command["p"] <= 1 for command in card["commands"])
    assert card["acts"][-1]["text"] == "REQUEST(time)"
    assert card["acts"][-1]["source"].startswith("bot.yaml:")
    missing = client.get(f"/v1/conversations/{conversation}/turns/9")
    assert missing.status_code == 404
    assert "no turn 9; the log has the turns 1 to 2" in missing.json()["error"]["message"]


def test_a_person_takes_over_and_gives_back(client: TestClient) -> None:
    conversation = opened(client)
    say(client, conversation, ANSWERS[0])
    turn = say(client, conversation, "I want to talk to a person")
    assert turn["handoff"] == "waiting"
    (queued,) = client.get("/v1/handoffs").json()["data"]
    assert (queued["conversation"], queued["queue"]) == (conversation, "tables")
    operator = f"/v1/conversations/{conversation}/operator"
    assert client.post(operator, json={"action": "take"}).json()["handoff"] == "with_person"
    assert say(client, conversation, "are you there?")["text"] == ""
    client.post(operator, json={"action": "say", "text": "Yes. For how many?"})
    back = client.post(operator, json={"action": "return", "edits": {"people": 6}}).json()
    assert back["handoff"] == "none"
    assert back["slots"]["people"] == 6
    assert back["text"]
    refused = client.post(operator, json={"action": "say", "text": "hm"})
    assert refused.status_code == 400


def test_a_deleted_conversation_leaves_nothing(client: TestClient) -> None:
    conversation = opened(client)
    assert client.delete(f"/v1/conversations/{conversation}").json()["deleted"]
    response = client.get(f"/v1/conversations/{conversation}/messages")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "conversation_not_found"


def test_an_idle_timer_runs_out_once(
    client: TestClient, application: Application, clock: Clock
) -> None:
    assert application.bots is not None
    conversation = opened(client)
    say(client, conversation, ANSWERS[0])
    assert application.bots.sweep() == 0
    clock.now = NOW + timedelta(minutes=31)
    assert application.bots.sweep() == 1
    assert application.bots.sweep() == 0
    said = client.get(f"/v1/conversations/{conversation}/messages").json()["data"]
    assert [m["role"] for m in said][-2:] == ["assistant", "assistant"]


def test_what_is_wrong_with_a_bot_is_told_with_its_line(client: TestClient, folder: Path) -> None:
    path = folder / "corner" / "bot.yaml"
    path.write_text(BOT.replace("about: book a table", "abot: book a table"))
    response = client.post("/v1/bots", json={"name": "corner"})
    assert response.status_code == 400
    assert "bot.yaml:5:5" in response.json()["error"]["message"]
    assert "about" in response.json()["error"]["message"]
    assert client.get("/v1/bots/corner").status_code == 200  # the version before goes on


def test_open_conversations_keep_their_version(client: TestClient, folder: Path) -> None:
    conversation = opened(client)
    path = folder / "corner" / "bot.yaml"
    path.write_text(BOT.replace("max: 12", "max: 3"))
    changed = client.post("/v1/bots", json={"name": "corner"})
    assert changed.status_code == 201
    for words in ANSWERS[:3]:
        say(client, conversation, words)
    assert say(client, conversation, "four people")["slots"]["people"] == 4
    other = opened(client)
    for words in ANSWERS[:3]:
        say(client, other, words)
    assert "people" not in say(client, other, "four people")["slots"]


def test_a_bot_without_code_can_be_sent(client: TestClient) -> None:
    text = "bot: Greeter\ntasks:\n  greet: {about: say hello, done: Hello to you!}\n"
    response = client.post("/v1/bots", json={"name": "greeter", "files": {"bot.yaml": text}})
    assert response.status_code == 201, response.text
    assert [bot["name"] for bot in client.get("/v1/bots").json()["data"]] == ["corner", "greeter"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tools.py", "is code, which nobody may send"),
        ("../bot.yaml", "is not inside of the bot's folder"),
        ("/etc/bot.yaml", "is not inside of the bot's folder"),
        ("run.sh", "is none of"),
    ],
)
def test_files_that_may_not_be_sent_are_refused(client: TestClient, name: str, words: str) -> None:
    response = client.post("/v1/bots", json={"name": "other", "files": {name: "x"}})
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_another_key_sees_nothing_of_a_conversation(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    keys = {"api_keys": ("key-of-ana-1", "key-of-ben-1"), "admin_key": "key-of-boss"}
    with (
        application_of_doubles(tmp_path / "keyed", **keys) as doubles,
        local_client(with_bots(doubles, folder, clock)) as client,
    ):
        client.headers["authorization"] = "Bearer key-of-ana-1"
        conversation = opened(client)
        client.headers["authorization"] = "Bearer key-of-ben-1"
        for path in ("messages", "state", "turns/1"):
            response = client.get(f"/v1/conversations/{conversation}/{path}")
            assert response.status_code == 404
        assert client.post("/v1/bots", json={"name": "corner"}).status_code == 403
        client.headers["authorization"] = "Bearer key-of-boss"
        assert client.get(f"/v1/conversations/{conversation}/state").status_code == 200


@pytest.fixture
def sdk(application: Application) -> Iterator[openai.OpenAI]:
    with serving(application) as live, sdk_of(live) as client:
        yield client


def sdk_of(live: LiveServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.address}/v1", api_key="unused", max_retries=0)


def test_the_openai_client_books_by_sending_the_transcript(sdk: openai.OpenAI) -> None:
    """Two clients with the same words have two conversations, and each books once."""
    assert "bot:corner" in [model.id for model in sdk.models.list()]
    codes: list[str] = []
    said: str | None = ""
    messages: list[Any] = []
    for _ in range(2):
        messages = []
        for words in (*ANSWERS, "yes"):
            messages.append({"role": "user", "content": words})
            answer = sdk.chat.completions.create(model="bot:corner", messages=messages)
            said = answer.choices[0].message.content
            messages.append({"role": "assistant", "content": said})
        codes.append(str(said).rsplit("code is ", 1)[1][:2])
    assert codes == ["T1", "T2"]
    again = sdk.chat.completions.create(model="bot:corner", messages=messages[:-1])
    assert "code is T1" in str(again.choices[0].message.content)  # from the log: no third booking


def test_the_openai_client_streams_and_continues_by_id(sdk: openai.OpenAI) -> None:
    first = list(
        sdk.chat.completions.create(
            model="bot:corner", messages=[{"role": "user", "content": ANSWERS[0]}], stream=True
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in first if chunk.choices)
    assert text
    own = first[-1].causerie  # type: ignore[attr-defined]
    answer = sdk.chat.completions.create(
        model="bot:corner",
        messages=[{"role": "user", "content": "7 March 2025"}],
        extra_body={"causerie": {"conversation": own["conversation"]}},
    )
    assert answer.causerie["slots"]["date"] == "2025-03-07"  # type: ignore[attr-defined]


def test_a_transcript_that_nobody_has_is_not_made_up(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.ConflictError, match="would be done again"):
        sdk.chat.completions.create(
            model="bot:corner",
            messages=[
                {"role": "user", "content": "book"},
                {"role": "assistant", "content": "Sure, done."},
                {"role": "user", "content": "thanks"},
            ],
        )
    with pytest.raises(openai.NotFoundError, match="no bot is called 'nobody'"):
        sdk.chat.completions.create(
            model="bot:nobody", messages=[{"role": "user", "content": "hello"}]
        )
