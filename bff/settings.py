"""Every setting of the BFF: its type, its default and what it means; read from the environment as `BFF_<NAME>`."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

PREFIX = "BFF_"
_KEY_BYTES = 32
ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_SERVICE_LINK = re.compile(r"BFF_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_TCP(_(PROTO|PORT|ADDR))?)")


class SettingsError(Exception):
    """The settings are unusable; the text lists every mistake, one a line, and no values."""


def origin_of(url: str) -> str:
    """Give scheme, host and port of a URL as browsers write them in `Origin`."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" if parts.port in (None, default) else f"{parts.scheme}://{host}:{parts.port}"


def checked_url(url: str, *, path: bool = True) -> str:
    """Refuse a URL that is not https (http on loopback), or has user, query or fragment; raises ValueError."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
    if not secure or not parts.hostname or not plain or not url.isascii() or re.search(r"[\s\\%]", url):
        raise ValueError("must be an https URL (http only on loopback) without user, query or fragment")
    if parts.port == 0 or (not path and parts.path):
        raise ValueError("must be an origin: scheme, host and port, without a path and without a slash at the end")
    return url


class Api(BaseModel):
    """One API that pages may call through the proxy, as `/api/<prefix>/...`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """First segment of the path below `/api/`."""
    target: str
    """URL that takes the place of `/api/<prefix>`; nothing above it can be reached."""
    resource: str
    """Resource identifier (RFC 8707) for which the access token is asked."""
    name: str = ""
    """What people call it."""
    checked_by: Literal["introspection", "keys"] | None = None
    """How the API checks tokens, for the page to say: `introspection` (opaque) or published `keys` (JWT)."""

    @field_validator("target")
    @classmethod
    def _target(cls, value: str) -> str:
        return checked_url(value).rstrip("/")

    @field_validator("resource")
    @classmethod
    def _resource(cls, value: str) -> str:
        if not urlsplit(value).scheme or "#" in value or not value.isprintable() or not value.isascii():
            raise ValueError("must be an absolute URI without fragment (RFC 8707 section 2)")
        return value


_DEMONSTRATION_APIS = (
    Api(
        prefix="notes",
        target="http://localhost:9001/notes",
        resource="http://localhost:9001/notes",
        name="Notes",
        checked_by="introspection",
    ),
    Api(
        prefix="almanac",
        target="http://localhost:9001/almanac",
        resource="http://localhost:9001/almanac",
        name="Almanac",
        checked_by="keys",
    ),
)


class BffSettings(BaseModel):
    """The settings; built in code by keyword (the environment is not read), or with `load_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = "http://localhost:9000"
    """The OpenID provider, exactly as it names itself."""
    public_url: str = ""
    """Origin under which browsers reach the BFF; default `http://localhost:<port>`."""
    client_id: str = "bff"
    """Identifier of this client at the provider."""
    client_secret: SecretStr | None = None
    """Secret of this client."""
    client_secret_file: Path | None = None
    """File that holds the client secret; instead of `client_secret`."""
    secret_key: SecretStr | None = None
    """Key that seals tokens in the database: 32 bytes or more."""
    secret_key_file: Path | None = None
    """File that holds the secret key; instead of `secret_key`."""
    secret_key_previous: tuple[SecretStr, ...] = ()
    """Earlier secret keys that still open what they sealed (JSON list, or separated by spaces)."""
    database_url: str = "sqlite:///var/bff.db"
    """Where sessions live: SQLite for one machine, `postgresql+psycopg://` for more."""
    scope: str = "openid profile email notes:read notes:write almanac:read"
    """Scope of the log-in; contains `openid`."""
    apis: tuple[Api, ...] = _DEMONSTRATION_APIS
    """The APIs behind the proxy (JSON list of objects with prefix, target, resource, name, checked_by)."""
    provider_origins: tuple[str, ...] = ()
    """Further origins at which the provider's endpoints may live (JSON list); default: the issuer's own only."""
    ca_file: Path | None = None
    """CA certificates (PEM) for provider and APIs, in place of the system's; verification cannot be switched off."""
    id_token_algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    """Signature algorithms accepted in ID tokens and logout tokens (JSON list)."""
    host: str = "localhost"
    """Address to listen on; `localhost` means 127.0.0.1 and ::1."""
    port: Annotated[int, Field(ge=1, le=65535)] = 9002
    """Port to listen on."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 64
    """Threads that answer requests, for each address."""
    session_idle_seconds: Annotated[int, Field(ge=60, le=30 * 86400)] = 12 * 3600
    """A session ends when it was not used for so long."""
    session_absolute_seconds: Annotated[int, Field(ge=60, le=365 * 86400)] = 7 * 86400
    """A session ends so long after log-in, however busy it is."""
    login_seconds: Annotated[int, Field(ge=60, le=3600)] = 1800
    """Time between the start of a log-in and its answer."""
    refresh_before_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """An access token is replaced so long before it ends."""
    provider_timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 10
    """Whole time for one request to the provider."""
    api_timeout_seconds: Annotated[float, Field(ge=0.1, le=300)] = 30
    """Whole time for one request to an API."""
    api_request_bytes: Annotated[int, Field(ge=1024, le=2**28)] = 2**20
    """Largest request body passed to an API."""
    api_response_bytes: Annotated[int, Field(ge=1024, le=2**28)] = 8 * 2**20
    """Largest response body passed to a page."""
    push_requests: Literal["where possible", "always", "never"] = "where possible"
    """Push authorization requests (RFC 9126), so that no browser sees or changes them; `always` never falls back."""
    logout_id_token_hint: bool = True
    """Send the ID token along when logging out at the provider, which then need not ask; it passes the browser once."""

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return checked_url(value)

    @field_validator("provider_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_url(origin, path=False) for origin in value)

    @field_validator("scope")
    @classmethod
    def _scope(cls, value: str) -> str:
        if "openid" not in value.split(" ") or not re.fullmatch(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", value):
            raise ValueError("must be scope values separated by single spaces, with openid among them")
        return value

    @field_validator("secret_key_previous", mode="before")
    @classmethod
    def _previous(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("[") else value.split()

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("its file cannot be read")
        return value

    @field_validator("id_token_algorithms")
    @classmethod
    def _algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not ASYMMETRIC.issuperset(value):
            raise ValueError("must name asymmetric signature algorithms only")
        return value

    @field_validator("apis")
    @classmethod
    def _distinct(cls, value: tuple[Api, ...]) -> tuple[Api, ...]:
        if len({api.prefix for api in value}) != len(value):
            raise ValueError("must not name a prefix twice")
        return value

    @field_validator("secret_key", "secret_key_previous")
    @classmethod
    def _long(cls, value: SecretStr | tuple[SecretStr, ...] | None) -> SecretStr | tuple[SecretStr, ...] | None:
        keys = value if isinstance(value, tuple) else (value,)
        if any(key is not None and len(_bytes(key)) < _KEY_BYTES for key in keys):
            raise ValueError("must have 32 bytes or more")
        return value

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        values, problems = _prepared(data)
        if problems:
            raise ValueError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        return values

    @property
    def resources(self) -> tuple[str, ...]:
        """The resource identifiers of the APIs, each once, in order."""
        return tuple(dict.fromkeys(api.resource for api in self.apis))

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to register at the provider."""
        return f"{self.public_url}/bff/callback"

    @property
    def secure(self) -> bool:
        """Whether browsers come over https."""
        return self.public_url.startswith("https:")

    @property
    def keys(self) -> tuple[bytes, tuple[bytes, ...]]:
        """The current secret key and the previous ones, as bytes."""
        return _bytes(cast(SecretStr, self.secret_key)), tuple(_bytes(key) for key in self.secret_key_previous)


def load_settings(environ: Mapping[str, str] | None = None) -> BffSettings:
    """Read the settings from the environment; raises SettingsError that lists all mistakes at once."""
    names = os.environ if environ is None else environ
    given = {name: value for name, value in names.items() if name.upper().startswith(PREFIX)}
    known = {PREFIX + field.upper() for field in BffSettings.model_fields}
    problems = [f"{name}: there is no such setting" for name in sorted(given) if not _is_known(name, known)]
    values: dict[str, object] = {
        name.removeprefix(PREFIX).lower(): _decoded(name, value)
        for name, value in given.items()
        if name in known and not _is_service_link(name, value)
    }
    values, missing = _prepared(values)
    problems += [f"{PREFIX}{name.upper()}: {problem}" for name, problem in missing.items()]
    # What is wrong so far is told; a stand-in in its place lets the other mistakes be found too.
    stand_ins = {name: "http://localhost" if name == "public_url" else "-" * _KEY_BYTES for name in missing}
    settings = None
    try:
        settings = BffSettings.model_validate({**values, **stand_ins})
    except ValidationError as error:
        problems += [_line(entry["loc"], entry["msg"]) for entry in error.errors(include_input=False)]
    if problems or settings is None:
        raise SettingsError("\n".join(problems))
    return settings


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or _SERVICE_LINK.fullmatch(name) is not None


def _is_service_link(name: str, value: str) -> bool:
    return name == f"{PREFIX}PORT" and value.startswith("tcp://")


def _decoded(name: str, value: str) -> object:
    if name not in {f"{PREFIX}APIS", f"{PREFIX}PROVIDER_ORIGINS", f"{PREFIX}ID_TOKEN_ALGORITHMS"}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _line(place: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in place)
    text = message.removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {text}" if name else text


def _prepared(data: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Read the secrets' files and fill in the public URL; gives the values and the problems by name."""
    values, problems = dict(data), {}
    for name in ("client_secret", "secret_key"):
        direct, file = values.pop(name, None), values.pop(f"{name}_file", None)
        if (not direct) == (not file):
            problems[name] = "set it, or name its file, and not both"
            continue
        values[name] = _content(Path(str(file))) if file else direct
        if values[name] is None:
            problems[name] = "its file cannot be read or is empty"
    url = values["public_url"] = values.get("public_url") or f"http://localhost:{values.get('port', 9002)}"
    try:
        checked_url(str(url), path=False)
    except ValueError:
        problems["public_url"] = "must be an https origin (http only on loopback), without a path or slash at the end"
    return values, problems


def _content(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()
