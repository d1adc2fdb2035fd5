"""The services of the tenants, each opened on its own."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from sqlalchemy.exc import DatabaseError

from api.errors import TenantUnavailableError
from index.errors import IndexStoreError

logger = logging.getLogger(__name__)


class Closable(Protocol):
    """What is closed at the end."""

    def close(self) -> None:
        """Let go of everything."""
        ...


Service = TypeVar("Service", bound=Closable)


class Tenants(Generic[Service]):
    """One service a tenant, opened when it is first needed; safe for threads.

    One that cannot be opened is tried again at its next request, and stops no other.
    """

    def __init__(self, names: Iterable[str], make: Callable[[str], Service]) -> None:
        self._make = make
        self._locks = {name: threading.Lock() for name in names}
        self._services: dict[str, Service] = {}
        self._is_closed = False

    def open_all(self) -> None:
        """Open all of them; the log says which cannot be."""
        for name in self._locks:
            try:
                self.of(name)
            except TenantUnavailableError:
                logger.exception("tenant %r is left out", name)

    def of(self, name: str) -> Service:
        """Return a tenant's service.

        Raises:
            TenantUnavailableError: its database cannot be opened.
        """
        with self._locks[name]:
            if self._is_closed:
                raise TenantUnavailableError("the service is stopping")
            if name not in self._services:
                try:
                    self._services[name] = self._make(name)
                except (DatabaseError, IndexStoreError, OSError) as error:
                    raise TenantUnavailableError(
                        "the data of this API key's tenant cannot be opened; the server's log says"
                        " why"
                    ) from error
            return self._services[name]

    def close(self) -> None:
        """Close those that are open."""
        self._is_closed = True
        for name, lock in self._locks.items():
            with lock:
                service = self._services.pop(name, None)
            if service is not None:
                service.close()
