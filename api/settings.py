"""Environment → values: everything that can be set, checked once; `docs/settings.md` lists it.

Settings build objects in `api/bootstrap.py` and then vanish. They do not know what they configure.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.errors import ConfigurationError
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.precision import Determinism, Device, Precision
from rag.ingest_recipe import MAX_CHUNK_TOKENS

ENV_PREFIX = "CAUSERIE_"

_SECRETS = {"api_keys", "admin_key", "database_url", "tenant_keys", "watermark_keys"}
MAX_TENANT_CHARS = 64
_TYPO_CUTOFF = 0.85
_WHERE = "(docs/settings.md lists the settings)"


def _split(value: object) -> object:
    """Read `a, b` as two values."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _strong_enough(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if len(key) < 8 or not key.isascii() or any(c.isspace() for c in key):
        raise ValueError("a key needs at least 8 ASCII characters and no white space")
    return value


def _absolute(value: Path) -> Path:
    return value.expanduser().absolute()


def _named_file(value: object) -> object:
    """Read `hotels=~/hotels.csv` as a name and a path."""
    if isinstance(value, str):
        name, sign, path = value.partition("=")
        if not (sign and name.strip() and path.strip()):
            raise ValueError("a table is written NAME=PATH, as in hotels=/data/hotels.csv")
        return name.strip(), _absolute(Path(path.strip()))
    return value


def _tenant_key(value: object) -> object:
    """Read `acme=KEY` as a tenant and its key."""
    if isinstance(value, str):
        name, sign, key = value.partition("=")
        if not (sign and name.strip() and key):
            raise ValueError("the key of a tenant is written NAME=KEY")
        return name.strip(), key.strip()
    return value


def _tenant_name(value: str) -> str:
    if len(value) > MAX_TENANT_CHARS or not value.isprintable():
        raise ValueError(f"a tenant's name has at most {MAX_TENANT_CHARS} printable characters")
    return value


NamedFile = Annotated[tuple[str, Path], BeforeValidator(_named_file)]
Folder = Annotated[Path, AfterValidator(_absolute)]
ApiKey = Annotated[SecretStr, AfterValidator(_strong_enough)]
TenantKey = Annotated[
    tuple[Annotated[str, AfterValidator(_tenant_name)], ApiKey], BeforeValidator(_tenant_key)
]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
ToolName = Literal["calculator", "clock", "units", "programs", "search"]
TOOL_NAMES: tuple[ToolName, ...] = ("calculator", "clock", "units", "programs", "search")
StatisticName = Literal["weighted", "mean", "bayesian"]
SchemeName = Literal["gumbel", "synthid", "sbw", "kgw", "kgw-hard", "unigram"]
Lowercase = BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)


def default_home() -> Path:
    """Return the platform's cache folder: models can be fetched again."""
    return platformdirs.user_cache_path("causerie", appauthor=False)


def default_state() -> Path:
    """Return the platform's folder of user data: conversations cannot be fetched again."""
    return platformdirs.user_data_path("causerie", appauthor=False)


PYTHON_COLLECTION = "python"  # the built-in documents; filled where it is the default


class Settings(BaseSettings):
    """What the environment says, as values; each name with `CAUSERIE_` before it is a variable."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    home: Folder = Field(default_factory=default_home)
    state: Folder = Field(default_factory=default_state)
    database_url: str | None = Field(default=None, repr=False)

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_split)] = ()
    admin_key: ApiKey | None = None
    tenant_keys: Annotated[tuple[TenantKey, ...], NoDecode, BeforeValidator(_split)] = ()
    allowed_hosts: CommaSeparated = ()
    allowed_origins: CommaSeparated = ()
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    max_upload_bytes: int = Field(default=100_000_000, ge=1_000)

    chat_model: str = Field(default=DEFAULT_CHAT_MODEL, min_length=1)
    embedding_model: str = Field(default=DEFAULT_EMBEDDING_MODEL, min_length=1)
    embedding_precision: Annotated[Precision, Lowercase] = "auto"
    cross_encoder: Folder | None = None
    chunk_overlap: int = Field(default=0, ge=0, lt=MAX_CHUNK_TOKENS // 2)
    near_duplicates: float = Field(default=0.8, ge=0, le=1)
    threads: int | None = Field(default=None, ge=1, le=1_024)
    context_size: int | None = Field(default=None, ge=128)
    max_tokens: int = Field(default=256, ge=1)
    max_concurrent: int = Field(default=64, ge=1, le=1_024)
    max_waiting: int = Field(default=256, ge=1, le=100_000)
    max_step_rows: int = Field(default=512, ge=1, le=65_536)
    cache_tokens: int | None = Field(default=None, ge=16)
    precision: Annotated[Precision, Lowercase] = "auto"
    kernels: Annotated[str, Lowercase] = "auto"
    determinism: Annotated[Determinism, Lowercase] = "auto"
    device: Annotated[Device, Lowercase] = "cpu"
    watermark: Annotated[Literal["on", "off"], Lowercase] = "on"
    watermark_scheme: Annotated[SchemeName, Lowercase] = "gumbel"
    watermark_key_file: Folder | None = None
    watermark_keys: SecretStr | None = None
    default_collection: str = Field(
        default=PYTHON_COLLECTION,
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    )
    index_library: bool = True
    answer: Annotated[Literal["extractive", "generative"], Lowercase] = "extractive"
    bots: Folder | None = None
    tools: Annotated[tuple[ToolName, ...], NoDecode, BeforeValidator(_split)] = TOOL_NAMES
    tool_tables: Annotated[tuple[NamedFile, ...], NoDecode, BeforeValidator(_split)] = ()
    tool_hosts: CommaSeparated = ()
    tool_files: Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(_split)] = ()
    timezone: str = Field(default="UTC", min_length=1)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], Lowercase] = (
        "info"
    )

    @property
    def heads(self) -> Path:
        """The folder of one's own heads; they count more than those that are shipped."""
        return self.home / "heads"

    @property
    def tenants(self) -> tuple[str, ...]:
        """The names of the tenants, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.tenant_keys))

    @field_validator("tenant_keys", mode="after")
    @classmethod
    def _keys_are_told_apart(
        cls, value: tuple[TenantKey, ...], info: ValidationInfo
    ) -> tuple[TenantKey, ...]:
        others = [*info.data.get("api_keys", ()), info.data.get("admin_key")]
        keys = [key for _, key in value] + [key for key in others if key is not None]
        if len({key.get_secret_value() for key in keys}) < len(keys):
            raise ValueError(
                "a key belongs to one tenant and is no key of others; make a new one for each"
            )
        return value

    def require_safe_host(self) -> None:
        """Refuse to serve other machines without a key.

        Raises:
            ConfigurationError: `host` is not a loopback address and no API key is set.
        """
        if not (self.api_keys or self.tenant_keys) and not is_loopback(self.host):
            raise ConfigurationError(
                f"host {self.host} can be reached from other machines, and no API key is set; set"
                f" {ENV_PREFIX}API_KEYS, or serve 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` (a command's options) that are not None win.

    Raises:
        ConfigurationError: One sentence that names each variable, its value unless it is secret,
            and its bound.
    """
    _refuse_misspelt(os.environ)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError(_sentence(error)) from None  # the cause would hold the secrets


@contextmanager
def unworkable_settings() -> Iterator[None]:
    """Tell a `ValueError` of the block as what it is: settings that cannot work together or here.

    Raises:
        ConfigurationError: the same sentence; a setting that it begins with by its variable's name.
    """
    try:
        yield
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        if name in Settings.model_fields:
            name = f"{ENV_PREFIX}{name.upper()}"
        raise ConfigurationError(f"{name} {rest} {_WHERE}") from error


def _refuse_misspelt(environment: Any) -> None:
    """Stop at `CAUSERIE_API_KEY`: who meant `CAUSERIE_API_KEYS` would serve without any."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        if not name.startswith(ENV_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_TYPO_CUTOFF)
        if near:
            raise ConfigurationError(f"unknown setting {name}; did you mean {near[0]}?")


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        message = problem["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        is_secret = name in _SECRETS
        value = "is not usable" if is_secret else f"is {problem['input']!r}"
        parts.append(f"{ENV_PREFIX}{name.upper()} {value}: {message}")
    return f"{'; '.join(dict.fromkeys(parts))} {_WHERE}"
