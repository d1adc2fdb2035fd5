"""What a transaction is asked to be, in words that both kinds of database read when it begins."""

from dataclasses import dataclass

from sqlalchemy import Connection

BUSY_TIMEOUT_S = 30.0
READ_ONLY = "causerie_read_only"
NOT_DURABLE = "causerie_not_durable"
SECURE = "causerie_secure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a connection's next transaction is wanted; a writer's unless it says otherwise."""

    is_read_only: bool
    is_durable: bool
    is_secure: bool

    @classmethod
    def of(cls, connection: Connection) -> "Wish":
        """Read it off the connection's options."""
        options = connection.get_execution_options()
        return cls(
            is_read_only=bool(options.get(READ_ONLY, False)),
            is_durable=not options.get(NOT_DURABLE, False),
            is_secure=bool(options.get(SECURE, False)),
        )
