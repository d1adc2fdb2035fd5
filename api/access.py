"""Who may ask: API keys, and the checks that keep other web sites out of a browser's reach.

Without keys only this machine is served. The Host header must name this service, so that a page
whose name was rebound to a loopback address reaches nothing; the Origin header, where a browser
sends one, must be this service's or listed. Does not know what is asked.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_table import RequestError, shown
from api.settings import Settings, is_loopback
from dialog.session import ALL_OWNERS

OWNER_CHARS: Final = 16

_PUBLIC_PATHS: Final = frozenset({"/", "/search", "/watermark", "/bots", "/livez", "/readyz"})
_PUBLIC_PREFIX: Final = "/static/"
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose request this is: the owner of their conversations, and whether they may delete.

    `sees_all`: they may read, continue and delete the conversations of others, too. `tenant` is
    whose data their requests reach at all.
    """

    owner: str
    is_admin: bool
    sees_all: bool = False
    tenant: str = ""

    @property
    def sees(self) -> str:
        """The owner whose conversations are shown to them; new ones belong to `owner`."""
        return ALL_OWNERS if self.sees_all else self.owner


def owner_of(key: str) -> str:
    """Return the name under which a key's conversations are kept; it does not give the key away."""
    return hashlib.sha256(key.encode()).hexdigest()[:OWNER_CHARS]


def own_key(settings: Settings, tenant: str = "") -> str | None:
    """Return the key that this machine's own commands send; None where there is no key."""
    if tenant:
        keys = (key for name, key in settings.tenant_keys if name == tenant)
        key = next(keys, None)
        return None if key is None else key.get_secret_value()
    if settings.api_keys:
        return settings.api_keys[0].get_secret_value()
    return None if settings.admin_key is None else settings.admin_key.get_secret_value()


def own_caller(settings: Settings, tenant: str = "") -> Caller:
    """Return as whom this machine's own commands keep and see conversations."""
    key = own_key(settings, tenant)
    has_admin_key = settings.admin_key is not None and not (settings.api_keys or tenant)
    return Caller(
        owner="" if key is None else owner_of(key),
        is_admin=has_admin_key or settings.admin_key is None,
        sees_all=has_admin_key,
    )


class Keyring:
    """The keys that are let in, compared in a time that does not depend on them."""

    def __init__(
        self,
        api_keys: Sequence[str],
        admin_key: str | None,
        tenant_keys: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._callers = [
            (_digest(key), Caller(owner=owner_of(key), is_admin=admin_key is None))
            for key in api_keys
        ]
        self._callers += [
            (
                _digest(key),
                Caller(owner=owner_of(key), is_admin=admin_key is None, tenant=tenant),
            )
            for tenant, key in tenant_keys
        ]
        if admin_key is not None:
            self._callers.append(
                (
                    _digest(admin_key),
                    Caller(owner=owner_of(admin_key), is_admin=True, sees_all=True),
                ),
            )

    @property
    def is_empty(self) -> bool:
        """Whether there is no key at all, so that everybody on this machine is let in."""
        return not self._callers

    def caller(self, authorization: str | None) -> Caller:
        """Return who sends this Authorization header.

        Raises:
            RequestError: 401, there are keys and this is none of them.
        """
        if self.is_empty:
            return Caller(owner="", is_admin=True)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorized("no API key was sent; send 'authorization: Bearer KEY'")
        digest = _digest(key.strip())
        found: Caller | None = None
        for known, caller in self._callers:  # all of them, so that the time tells nothing
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise _unauthorized("the API key is not one of this server's; check it for typos")
        return found


class AccessMiddleware:
    """Answers 4xx to whoever may not ask; puts the `Caller` into `scope["state"]`."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        settings.require_safe_host()
        self._app = app
        self._keyring = Keyring(
            [key.get_secret_value() for key in settings.api_keys],
            None if settings.admin_key is None else settings.admin_key.get_secret_value(),
            [(tenant, key.get_secret_value()) for tenant, key in settings.tenant_keys],
        )
        self._is_exposed = not is_loopback(settings.host)
        self._names = {"localhost", _bare(settings.host), *map(_bare, settings.allowed_hosts)}
        self._origins = {origin.rstrip("/").lower() for origin in settings.allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RequestError as error:
            await error.to_response()(scope, receive, _hardened(send))
            return
        await self._app(scope, receive, _hardened(send))

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._keyring.is_empty and not _comes_from_this_machine(scope):
            raise RequestError(
                403,
                "without API keys only this machine is served; set CAUSERIE_API_KEYS",
                type_="permission_error",
                code="not_local",
            )
        self._check_host(headers)
        self._check_origin(headers, scope["scheme"])
        path = scope["path"]
        state = scope.setdefault("state", {})
        if path in _PUBLIC_PATHS or path.startswith(_PUBLIC_PREFIX):
            state["caller"] = Caller(owner="", is_admin=False)
        else:
            state["caller"] = self._keyring.caller(headers.get("authorization"))

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) == 1 and self._is_ours(_bare(host)):
            return
        raise RequestError(
            421,
            f"the header 'host' is {shown(host)}, which this server does not answer to; use its"
            " address, or add the name to CAUSERIE_ALLOWED_HOSTS",
            code="unknown_host",
        )

    def _is_ours(self, name: str) -> bool:
        if not name:
            return False
        if "*" in self._names or name in self._names:
            return True
        # Rebinding needs a name; an address in the Host header is the one that was really dialled.
        return is_loopback(name) or (self._is_exposed and _is_address(name))

    def _check_origin(self, headers: Headers, scheme: str) -> None:
        origin = headers.get("origin")
        if origin is None:
            return
        ours = f"{scheme}://{headers.get('host', '')}".lower()
        if origin.lower() == ours or origin.lower() in self._origins or "*" in self._origins:
            return
        raise RequestError(
            403,
            f"a page from {shown(origin)} may not use this server; add it to"
            " CAUSERIE_ALLOWED_ORIGINS to allow it",
            type_="permission_error",
            code="origin_not_allowed",
        )


def _hardened(send: Send) -> Send:
    """Add headers that keep a browser from misusing what is served; a route's own ones win."""

    async def send_hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_hardened


def _comes_from_this_machine(scope: Scope) -> bool:
    client = scope.get("client")
    return client is None or is_loopback(client[0])  # no client: a Unix socket


def _bare(host: str) -> str:
    """Return the name of `name:port`, in lower case, without an IPv6 address's brackets."""
    if host == "*" or _is_address(host):
        return host.lower()
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _unauthorized(message: str) -> RequestError:
    return RequestError(
        401,
        message,
        type_="authentication_error",
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )
