import json

import pytest

from dialog.errors import UnreadableEventError
from dialog.events import ConversationOpened, Event, event_from_payload
from dialog.testing import sample_turn

EVERY_EVENT: tuple[Event, ...] = (ConversationOpened(collection="docs", title="T"), *sample_turn())


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.kind)
def test_an_event_survives_the_way_through_json(event: Event) -> None:
    stored = json.loads(json.dumps(event.to_payload()))
    assert event_from_payload(event.kind, stored) == event


def test_kind_names_are_versioned_and_distinct() -> None:
    kinds = [event.kind for event in EVERY_EVENT]
    assert len(set(kinds)) == len(kinds)
    assert all(kind.endswith(".v1") for kind in kinds)


def test_an_unknown_kind_is_named_with_the_remedy() -> None:
    with pytest.raises(UnreadableEventError, match=r"'slot_set\.v9'.*upgrade"):
        event_from_payload("slot_set.v9", {})


@pytest.mark.parametrize("payload", [{}, {"message_id": "m", "text": "t"}])
def test_a_damaged_payload_is_reported_as_such(payload: dict[str, str]) -> None:
    with pytest.raises(UnreadableEventError, match="damaged"):
        event_from_payload("user_uttered.v1", payload)
