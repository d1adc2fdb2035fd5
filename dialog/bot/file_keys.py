"""The keys of a bot file, by level, each with an example of its use."""

import difflib

TOP = {
    "bot": "bot: Corner Table",
    "version": "version: 1",
    "locales": "locales: {default: en, also: [de, fr], timezone: user}",
    "conversation": "conversation: {idle: 30m, greet: true}",
    "user": "user: {logged_in: bool}",
    "include": "include: [tasks.yaml, texts.yaml]",
    "tables": "tables:\n  hotels: {from: data/hotels.csv, key: id, show: name}",
    "knowledge": 'knowledge:\n  faq: {from: docs/*.md, else: "I don\'t have that written down."}',
    "glossary": 'glossary: {half board: "Breakfast and dinner."}',
    "slots": "slots:\n  city: entity:cities",
    "tasks": "tasks:\n  book_table: {about: book a table, slots: {date: date}, call: reserve}",
    "tools": "tools: tools.py",
    "say": "say: {welcome: [Hello!, Hi there!]}",
    "behaviour": "behaviour: {correction: confirm_if_late}",
    "model": "model: {tracker: constrained}",
    "tests": 'tests:\n  - {test: greets, talk: [{user: hello, says: "Hello"}]}',
    "simulate": "simulate:\n  - {users: {cooperative: 60}, dialogues: 200, seed: 7}",
    "dst": "dst:\n  - {data: data/dev.jsonl}",
}
SLOT = {
    "type": "type: integer",
    "many": "many: true",
    "about": "about: how many people",
    "examples": "examples: [two of us, a party of six]",
    "values": "values: {cheap: [low cost], high: [luxury]}",
    "synonyms": "synonyms: {cheap: [low cost]}",
    "required": "required: false",
    "when": "when: nights > 7",
    "ask": 'ask: "Which day?"',
    "reask": 'reask: "And the day?"',
    "why": "why: We send the voucher there.",
    "valid": "valid: [{if: nights < 30, else: That is too long.}]",
    "min": "min: 1",
    "max": "max: 12",
    "after": "after: today",
    "before": "before: today + 90 days",
    "default": "default: 1",
    "confirm": "confirm: explicit",
    "cost": "cost: 10",
    "ask_first": "ask_first: true",
    "fill": "fill: when_asked",
    "keep": "keep: conversation",
    "from": "from: find_hotel",
    "same": "same: find_hotel.check_in",
    "sensitive": "sensitive: true",
    "options_from": "options_from: free_times(date)",
    "max_tries": "max_tries: 3",
    "on_fail": "on_fail: {handoff: bookings}",
    "pattern": "pattern: '[A-Z]{2}[0-9]{4}'",
    "currency": "currency: EUR",
}
TASK = {
    "about": "about: book a table",
    "examples": "examples: [I need a table]",
    "not_examples": "not_examples: [cancel my table]",
    "needs": "needs: logged_in",
    "slots": "slots: {date: date, people: integer}",
    "order": "order: agenda",
    "find": "find: hotels(city, budget)",
    "offer": 'offer: {show: 3, as: "{name} ({area})"}',
    "into": "into: hotel",
    "confirm": "confirm: explicit",
    "check": 'check: [{call: "has_room(date)", else: {say: "We are full.", reask: date}}]',
    "call": "call: reserve",
    "do": "do: [{call: reserve, retry: 1}]",
    "done": 'done: "Booked. Your code is {result.code}."',
    "failed": 'failed: {say: "That did not work.", handoff: bookings}',
    "cancelled": "cancelled: Nothing was booked.",
    "next": "next: book_hotel",
    "resume": "resume: ask",
    "on_cancel": "on_cancel: {call: release, if: result.hold_id}",
}
STEP = {
    "call": "call: reserve",
    "retry": "retry: 1",
    "failed": 'failed: {say: "The hotel didn\'t answer.", handoff: bookings}',
    "if": "if: result.upgrade",
    "ask": "ask: Would you like the free upgrade?",
    "yes": "yes: {call: upgrade}",
    "no": 'no: {say: "As you like."}',
    "say": "say: One moment.",
    "set": "set: {hold_id: result.hold_id}",
    "start": "start: book_hotel",
    "handoff": "handoff: bookings",
    "stop": "stop: true",
}
CHECK = {
    "call": 'call: "has_room(hotel, check_in)"',
    "if": "if: amount <= balance",
    "else": 'else: {say: "{hotel.name} is full then.", reask: [check_in, hotel]}',
}
REACTION = {
    "say": 'say: "That is full."',
    "reask": "reask: [check_in, hotel]",
    "handoff": "handoff: bookings",
    "stop": "stop: true",
    "start": "start: find_hotel",
}
OFFER = {
    "show": "show: 3",
    "as": 'as: "{name} ({area}), {price} a night"',
    "relax": "relax: [budget]",
}
TABLE = {
    "from": "from: data/hotels.csv",
    "key": "key: id",
    "show": "show: name",
    "search": "search: [name, area]",
    "synonyms": "synonyms: {bern: [berne, the capital]}",
    "table": "table: hotels",
}
KNOWLEDGE = {
    "from": "from: docs/*.md",
    "answer": "answer: grounded",
    "cite": "cite: true",
    "min_support": "min_support: 0.6",
    "else": 'else: "I don\'t have that written down."',
}
LOCALES = {
    "default": "default: en",
    "also": "also: [de, fr]",
    "timezone": "timezone: Europe/Zurich",
}
CONVERSATION = {"idle": "idle: 30m", "greet": "greet: true", "merge_window": "merge_window: 0s"}
BEHAVIOUR = {
    "correction": "correction: confirm_if_late",
    "digression": "digression: {max_depth: 3}",
    "out_of_scope": 'out_of_scope: {say: "I can help with hotels.", after: 2, then: handoff}',
    "handoff": "handoff: {when: [user_asks, tries > 3], to: bookings}",
    "chitchat": "chitchat: brief",
    "initiative": "initiative: mixed",
    "never": "never: [give legal advice]",
}
OUT_OF_SCOPE = {"say": "say: I can help with hotels.", "after": "after: 2", "then": "then: handoff"}
HANDOFF = {"when": "when: [user_asks, tries > 3]", "to": "to: bookings"}
DIGRESSION = {"max_depth": "max_depth: 3"}
VALID = {"if": "if: nights < 30", "else": "else: That is too long."}
NEEDS = {"if": "if: logged_in", "else": "else: Please log in first."}
TEXT = {"text": 'text: ["Who is the guest?"]', "buttons": "buttons: [me]"}
MODEL = {
    "tracker": "tracker: constrained",
    "name": "name: smollm2-135m-instruct",
    "examples": "examples: words",
}

LEVELS = {
    "top": TOP, "slot": SLOT, "task": TASK, "step": STEP, "check": CHECK, "reaction": REACTION,
    "offer": OFFER, "table": TABLE, "knowledge": KNOWLEDGE, "locales": LOCALES,
    "conversation": CONVERSATION, "behaviour": BEHAVIOUR, "out_of_scope": OUT_OF_SCOPE,
    "handoff": HANDOFF, "digression": DIGRESSION, "valid": VALID, "needs": NEEDS, "text": TEXT,
    "model": MODEL,
}  # fmt: skip

MAX_DISTANCE = 2


def edit_distance(left: str, right: str, most: int = MAX_DISTANCE + 1) -> int:
    """Return the number of letters to insert, delete, change or swap; `most` where it is more."""
    if abs(len(left) - len(right)) >= most:
        return most
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        last, before = before, row
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return min(row[-1], most)


def nearest_key(key: str, known: list[str]) -> str | None:
    """Return the known key within an edit distance of 2, or one that differs in its ending."""
    scored = sorted((edit_distance(key.lower(), name.lower()), name) for name in known)
    if scored and scored[0][0] <= min(MAX_DISTANCE, max(1, len(key) - 2)):
        return scored[0][1]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    return close[0] if close else None
