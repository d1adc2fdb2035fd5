"""`bot chat`: a conversation with a bot in the terminal."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from api.bot_bootstrap import agent_maker
from api.bot_trackers import BotTrackers
from api.cli.bot_log import write_log
from api.cli.bot_options import AsJson, BotFolder, print_json, read_bot
from api.own_trackers import own_trackers
from dialog.bot.definition import BotDefinition
from dialog.builder.card_text import card_text
from dialog.builder.decision_card import cards_of
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import Opened, TaskEvent
from dialog.task.fold import fold
from dialog.task.messages import Reply, UserMessage
from dialog.task.nlg import one_moment

HOLD_S: Final = 2.0
_ID: Final = "chat"
_HELP: Final = """\
/why [TURN]  what decided the last turn, or another
/slots       what the bot knows
/1, /2, …    press a button of the last reply
/quit        leave, as does Ctrl-D"""


def chat(
    bot: BotFolder,
    now: Annotated[
        str | None, typer.Option("--now", help="The moment, such as 2025-03-03T09:00.")
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option("--user", help="A fact of the user: logged_in=true.")
    ] = None,
    locale: Annotated[str | None, typer.Option("--locale", help="The language.")] = None,
    message: Annotated[
        list[str] | None, typer.Option("--message", help="Say this and end; may be given again.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Write what was recorded to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Talk to a bot. Nothing is stored; its tools are called as they are."""
    with own_trackers() as trackers:
        talk = _open(read_bot(bot), trackers, now=now, facts=_facts(user or []), locale=locale)
        try:
            _talk(talk, message, as_json=as_json)
        finally:
            if log is not None:
                write_log(log, talk.events)


def _talk(talk: "_Talk", message: list[str] | None, *, as_json: bool) -> None:
    if message:
        replies = [talk.say(words) for words in message]
        if as_json:
            print_json([_as_json(reply) for reply in replies])
        else:
            for words, reply in zip(message, replies, strict=True):
                print(f"> {words}\n{reply.text}")
        return
    talk.run()


def _facts(written: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for part in written:
        name, sign, value = part.partition("=")
        if not sign:
            raise typer.BadParameter(f"--user takes NAME=VALUE such as logged_in=true, got {part}")
        facts[name] = {"true": True, "false": False}.get(value.lower(), value)
    return facts


def _open(
    bot: BotDefinition,
    trackers: BotTrackers,
    *,
    now: str | None,
    facts: dict[str, Any],
    locale: str | None,
) -> "_Talk":
    try:
        moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
    except ValueError:
        raise typer.BadParameter(f"--now takes 2025-03-03T09:00, got {now}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if locale is not None and locale not in bot.locales.all:
        raise typer.BadParameter(f"the bot speaks {', '.join(bot.locales.all)}, not {locale}")
    unknown = [name for name in facts if name not in bot.user]
    if unknown:
        known = ", ".join(bot.user) or "none"
        raise typer.BadParameter(f"the bot has no fact {unknown[0]!r} of a user; it has {known}")
    log = MemoryTaskLog()
    agent = agent_maker(log, parts=AgentParts(clock=lambda: moment), trackers=trackers)(bot)
    zone = bot.locales.timezone
    agent.open(
        _ID,
        opened=Opened(
            locale=locale or bot.locales.default,
            timezone="UTC" if zone == "user" else zone,
            now=moment.isoformat(),
            user=facts,
            channel="terminal",
        ),
    )
    return _Talk(agent=agent, log=log)


@dataclass(slots=True, kw_only=True)
class _Talk:
    agent: TaskAgent
    log: MemoryTaskLog
    console: Console = field(default_factory=Console)
    said: int = 0
    last: Reply | None = None

    @property
    def events(self) -> Sequence[TaskEvent]:
        """What was recorded."""
        return self.log.read(_ID)[1]

    def say(self, words: str, button: str = "") -> Reply:
        self.said += 1
        message = UserMessage(id=f"m{self.said}", text=words, button=button)
        with ThreadPoolExecutor(max_workers=1) as turns:
            turn = turns.submit(self.agent.respond, _ID, message)
            if not wait([turn], timeout=HOLD_S).done:
                state = fold(self.agent.bot, self.events)
                Console(stderr=True).print(Text(one_moment(self.agent.bot, state), style="dim"))
            self.last = turn.result()
        return self.last

    def run(self) -> None:
        """Read lines until the end."""
        if self.agent.bot.conversation.greet:
            self._show(self.agent.greet(_ID))
        while self.last is None or not self.last.is_closed:
            try:
                line = input("> ").strip()
            except EOFError:
                print()
                return
            if line == "/quit":
                return
            if line.startswith("/"):
                self._command(line)
            elif line:
                self._show(self.say(line))

    def _show(self, reply: Reply) -> None:
        self.last = reply
        self.console.print(Text(reply.text or "(a person has the conversation)", style="bold"))
        for i, button in enumerate(reply.buttons, start=1):
            self.console.print(Text(f"  /{i} {button['title']}", style="cyan"))

    def _command(self, line: str) -> None:
        word, _, rest = line[1:].partition(" ")
        if word.isdigit() and self.last is not None and 0 < int(word) <= len(self.last.buttons):
            button = self.last.buttons[int(word) - 1]
            self._show(self.say(str(button["title"]), str(button["payload"])))
        elif word == "why":
            self._why(int(rest) if rest.isdigit() else self.said)
        elif word == "slots":
            slots = self.last.slots if self.last is not None else {}
            for name, value in slots.items():
                print(f"  {name}: {value}")
        else:
            print(_HELP)

    def _why(self, turn: int) -> None:
        turns = [c for c in cards_of(self.agent.bot, self.log.read(_ID)[1]) if c.message_id]
        if 1 <= turn <= len(turns):
            print(card_text(turns[turn - 1]))
        else:
            print(f"there is no turn {turn}; there are {len(turns)}")


def _as_json(reply: Reply) -> dict[str, Any]:
    return {
        "text": reply.text,
        "acts": [act.to_payload() for act in reply.acts],
        "buttons": list(reply.buttons),
        "slots": dict(reply.slots),
        "task": reply.task,
        "handoff": reply.handoff,
        "closed": reply.is_closed,
    }
