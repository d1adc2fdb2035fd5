"""Laws of the fold and of the decision, on conversations that nobody would hold."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.properties import PROPERTY_NAMES, violations
from dialog.task import commands as c
from dialog.task.acts import QUESTIONS
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import TaskEvent, event_payload, task_event
from dialog.task.fold import after, fold
from dialog.task.policy import decide
from dialog.task.state import DialogState
from dialog.task.testing import agent_of, turn
from dialog.task.utterance import pair_kind

BOT = """\
bot: Harbour
locales: {default: en, also: [de], timezone: UTC}
user: {logged_in: bool}
tables:
  hotels: {from: hotels.csv, key: id, show: name}
tasks:
  find_hotel:
    about: find a hotel
    slots:
      area: {type: choice, values: [north, south]}
      stars: {type: integer, min: 1, max: 5, required: false}
    find: hotels(area, stars)
    offer: {show: 2, relax: [stars]}
    into: hotel
    next: book_hotel
  book_hotel:
    about: book a hotel
    needs: logged_in
    slots:
      hotel: {type: entity:hotels, from: find_hotel}
      check_in: {type: date, after: today}
      nights: {type: integer, min: 1, max: 30, default: 1}
      extras: {type: choice, many: true, values: [wifi, parking, tea], required: false}
      guest: {type: person, keep: user}
    check:
      - call: has_room(hotel, nights)
        else: {say: "{hotel.name} is full.", reask: [hotel]}
    do:
      - {call: reserve, retry: 1, failed: {say: "No answer.", handoff: desk}}
      - if: result.upgrade
        ask: Would you like the upgrade?
        yes: [{call: upgrade}]
        no: [{say: "As you like."}]
    done: "Code {result.code}."
    on_cancel: [{call: release}]
  taxi:
    about: order a taxi
    slots:
      at: time
      people: {type: integer, min: 1, max: 4, confirm: implicit}
    confirm: auto
    call: order_taxi
glossary: {parking: A place for a car.}
behaviour:
  handoff: {when: [tool_failed > 2], to: desk}
"""
TOOLS = """\
from tools.base import tool

@tool(effect="read")
def has_room(hotel, nights) -> bool:
    return nights < 20

def reserve(hotel, check_in, nights, guest):
    return {"code": "A1", "upgrade": nights > 2}

def upgrade(result):
    return {"code": "U1", "upgrade": False}

def release(result):
    return None

def order_taxi(at, people):
    return {"code": "T1"}
"""
HOTELS = "id,name,area,stars\na,Adler,north,3\nb,Baer,north,2\nd,Dachs,north,3\ne,Elch,south,4\n"


@cache
def harbour() -> BotDefinition:
    """Return the bot; no fixture, since hypothesis would print all of it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bot.yaml").write_text(BOT, encoding="utf-8")
        (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
        (folder / "hotels.csv").write_text(HOTELS, encoding="utf-8")
        return load_bot(folder)


VALUES: Mapping[str, Any] = {
    "area": st.sampled_from(["north", "south", "nowhere"]),
    "stars": st.integers(0, 6),
    "hotel": st.sampled_from(["a", "b", "e", "zz"]),
    "check_in": st.sampled_from(["2025-03-07", "2025-03-08", "2024-01-01", "no day"]),
    "nights": st.sampled_from([1, 2, 3, 25, 99]),
    "extras": st.sampled_from(["wifi", "parking", "tea"]),
    "guest": st.sampled_from(["Ana Lind", "Bo"]),
    "at": st.sampled_from(["18:30", "25:99"]),
    "people": st.sampled_from([1, 3, 9]),
}
slots = st.sampled_from(sorted(VALUES))
tasks = st.sampled_from(["find_hotel", "book_hotel", "taxi"])


@st.composite
def edits(draw: st.DrawFn) -> c.Command:
    slot = draw(slots)
    kind = draw(st.sampled_from([c.Set, c.Set, c.Set, c.Change, c.Add, c.Remove]))
    p = draw(st.sampled_from([1.0, 1.0, 0.8, 0.5, 0.3, 0.1]))
    others: tuple[c.Alternative, ...] = ()
    if p == 0.5:
        others = (c.Alternative(value=draw(VALUES[slot]), p=0.4),)
    value = draw(VALUES[slot])
    return kind(slot=slot, value=value, p=p, alternatives=others)


others = st.one_of(
    st.builds(c.Start, task=tasks),
    st.builds(c.Clear, slot=slots),
    st.builds(c.DontCare, slot=slots),
    st.builds(c.Choose, n=st.integers(-1, 3)),
    st.builds(c.More, direction=st.sampled_from(["", "cheaper", "better"])),
    st.builds(c.Ask, attribute=st.sampled_from(["stars", "moon"])),
    st.builds(c.What, term=st.sampled_from(["parking", "moon"])),
    st.builds(c.Unclear, guesses=st.sampled_from([(), ("taxi", "book_hotel")])),
    st.builds(c.Language, locale=st.sampled_from(["de", "en", "fr"])),
    st.builds(c.Back, slot=st.sampled_from(["", "nights"])),
    st.builds(c.Cancel, task=st.sampled_from(["", "taxi"])),
    st.builds(c.Knowledge, query=st.just("are dogs allowed")),
    st.sampled_from(
        [
            *(c.Affirm(), c.Affirm(), c.Affirm(), c.Deny(), c.Skip(), c.Why(), c.Chitchat()),
            *(c.Repeat(), c.Rephrase(), c.Resume(), c.Hold(), c.Restart(), c.Handoff(), c.Done()),
        ]
    ),
)
turns = st.lists(
    st.lists(st.one_of(edits(), edits(), others), min_size=1, max_size=4), min_size=1, max_size=14
)
some = settings(max_examples=40, deadline=None)


def talked(script: list[list[c.Command]]) -> list[TaskEvent]:
    store = MemoryTaskLog()
    agent = agent_of(harbour(), log=store, user={"logged_in": True})
    for commands in script:
        turn(agent, *commands)
    return list(store.read("c")[1])


@pytest.mark.slow
@given(script=turns)
@some
def test_any_commands_apply_and_every_prefix_folds_to_the_same_state(
    script: list[list[c.Command]],
) -> None:
    log = talked(script)
    state = DialogState()
    for i, event in enumerate(log, start=1):
        state = after(harbour(), state, event)
        if i % 5 == 0 or i == len(log):
            assert state.to_json() == fold(harbour(), log[:i]).to_json()
    stored = [json.loads(json.dumps([e.kind, event_payload(e)])) for e in log]
    read = [task_event(kind, payload) for kind, payload in stored]
    assert read == log
    assert fold(harbour(), read).to_json() == state.to_json()


@pytest.mark.slow
@given(script=turns)
@some
def test_nothing_that_must_never_happen_happens(
    script: list[list[c.Command]],
) -> None:
    log = talked(script)
    assert violations(harbour(), log, PROPERTY_NAMES) == []


@pytest.mark.slow
@given(script=turns)
@some
def test_the_decision_is_a_function_of_the_state(
    script: list[list[c.Command]],
) -> None:
    state = DialogState()
    for event in talked(script):
        state = after(harbour(), state, event)
        first = decide(harbour(), state)
        assert first == decide(harbour(), state)
        assert sum(act.name in QUESTIONS for act in first.acts) <= 1


@given(script=turns)
@settings(some, max_examples=15)
def test_a_pair_is_open_exactly_while_something_waits_for_its_answer(
    script: list[list[c.Command]],
) -> None:
    state = fold(harbour(), talked(script))
    ids = {frame.id for frame in state.frames}
    for pair in state.pairs:
        assert pair_kind(pair.act) is pair.kind
        is_undo = pair.act.key == "undo"
        assert not pair.frame or pair.frame in ids or is_undo
