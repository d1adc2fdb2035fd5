"""How a conversation with a bot begins: language, zone, moment, and what the channel knows."""

from datetime import UTC, datetime

from api.bot_schemas import BotConversationRequest
from api.error_table import RequestError, caller_mistakes
from dialog.bot.definition import BotDefinition
from dialog.task.events import Opened


def opened_as(body: BotConversationRequest, bot: BotDefinition) -> Opened:
    """Return the first event of a conversation.

    Raises:
        RequestError: a language that the bot does not speak, or no time.
    """
    locale = body.locale or bot.locales.default
    if locale not in bot.locales.all:
        raise RequestError(
            400,
            f"the bot speaks {', '.join(bot.locales.all)}, not {locale!r}",
            param="locale",
            code="invalid_value",
        )
    zone = bot.locales.timezone
    with caller_mistakes("now"):
        now = datetime.fromisoformat(body.now) if body.now else datetime.now(UTC)
    return Opened(
        locale=locale,
        timezone=body.timezone or ("UTC" if zone == "user" else zone),
        now=(now if now.tzinfo else now.replace(tzinfo=UTC)).isoformat(),
        user=body.user or {},
        person=body.person or "",
        channel="api",
    )
