"""Every setting of the authorization server: type, default and one sentence.

Read from ``AUTHSERVER_*`` environment variables over the TOML file that ``AUTHSERVER_CONFIG`` names. A section's
setting is written ``AUTHSERVER_TOKENS__CODE_SECONDS`` in the environment and ``code_seconds`` under ``[tokens]`` in
the file. Unknown names are refused, and every error is reported at once.
"""

import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from authserver import setting_rules
from authserver.environment import PREFIX, service_links, tell_ignored, unknown_names
from authserver.extension_sections import (
    Ciba,
    ClaimScope,
    DetailsType,
    Dpop,
    Mtls,
    Registration,
    Signup,
    TrustedIssuer,
)
from authserver.language import LANGUAGES
from authserver.sections import (
    Database,
    Features,
    Keys,
    Limits,
    Passwords,
    Positive,
    ScopeName,
    Sessions,
    Tokens,
    Words,
)

_URL_SECRET = re.compile(r"(\w://[^/@:]*:)[^/]*@")
_MIN_SECRET = 32


class SettingsError(Exception):
    """The settings are wrong; the message names each of them in a sentence of its own."""


class Settings(BaseSettings):
    """The whole configuration; frozen, made once per process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    issuer: str = Field(
        "http://localhost:9000", description="Issuer identifier: the public URL, without a slash at the end."
    )
    host: str = Field("localhost", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(9000, description="Port to listen on.")
    database_url: str = Field(
        "sqlite:///var/authserver.db", description="SQLAlchemy URL of the database: SQLite or PostgreSQL."
    )
    redis_url: SecretStr | None = Field(
        None, description="URL of Redis or Valkey for short-lived state; without it, the database."
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret of 32 or more characters that encrypts values at rest."
    )
    secret_key_file: Path | None = Field(None, description="File that holds the secret key.")
    secret_key_previous: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Former secret keys, comma-separated: they still open what they sealed."
    )
    trusted_proxies: Words = Field(
        (), description="Addresses or networks whose forwarded headers count, comma-separated."
    )
    outbound_allow: Words = Field(
        (), description="Hosts (host or host:port) that may be fetched though their address is private."
    )
    outbound_ca_file: Path | None = Field(None, description="More CA certificates for outbound requests (PEM).")
    languages: Words = Field(
        tuple(LANGUAGES),
        description="Languages of the pages, comma-separated; the first is for readers of none of them.",
    )
    default_resource: str | None = Field(
        None, description="Audience of a token for which no resource was asked; else the issuer."
    )
    trusted_issuers: tuple[TrustedIssuer, ...] = Field(
        (), description="Issuers whose assertions open an account (RFC 7523), as a list of tables or in JSON."
    )
    authorization_details_types: dict[str, DetailsType] = Field(
        default_factory=dict,
        description="Types of authorization details (RFC 9396) by their names, as tables or in JSON.",
    )
    claim_scopes: dict[ScopeName, ClaimScope] = Field(
        default_factory=dict,
        description="More scopes that open claims about a person, by their names, as tables or in JSON.",
    )
    require_pushed_authorization_requests: bool = Field(
        default=False, description="Take authorization requests only where they were pushed (RFC 9126 5)."
    )
    require_signed_request_object: bool = Field(
        default=False, description="Take authorization requests only as signed request objects (RFC 9101 10.5)."
    )
    nodes: Positive = Field(1, description="Machines that serve this issuer; more than one needs PostgreSQL.")
    development: bool = Field(
        default=False, description="Loopback development mode: allows an http issuer on loopback."
    )
    workers: Annotated[int, Field(ge=0)] = Field(0, description="Worker processes; 0 means one per CPU.")
    threads: Positive = Field(64, description="Threads per worker process.")
    gateway: bool = Field(default=True, description="Answer protocol requests before Flask (off only to compare).")
    log_format: Literal["json", "text"] = Field("json", description="Format of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    tokens: Tokens = Tokens()
    sessions: Sessions = Sessions()
    keys: Keys = Keys()
    passwords: Passwords = Passwords()
    limits: Limits = Limits()
    mtls: Mtls = Mtls()
    database: Database = Database()
    features: Features = Features()
    registration: Registration = Registration()
    dpop: Dpop = Dpop()
    ciba: Ciba = Ciba()
    signup: Signup = Signup()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, TOML file."""
        del dotenv_settings, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):
            # Kubernetes says AUTHSERVER_PORT=tcp://10.0.0.1:9000 where a service is called authserver.
            links = frozenset(map(str.lower, service_links()))
            env_settings.env_vars = {name: value for name, value in env_settings.env_vars.items() if name not in links}
        file = os.environ.get(PREFIX + "CONFIG")
        toml = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        return (init_settings, env_settings, *toml)

    @field_validator("trusted_proxies", "outbound_allow", "secret_key_previous", "languages", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        # RFC 8414 2: a URL with no query or fragment; compared as a string, so one spelling only.
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or "@" in value:
            msg = "must be an http or https URL without user, query or fragment"
            raise ValueError(msg)
        if value.endswith("/"):
            msg = "must not end with a slash"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = setting_rules.broken(self)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def issuer_path(self) -> str:
        """Path of the issuer, empty where it has none."""
        return urlsplit(self.issuer).path

    @property
    def management_resource(self) -> str:
        """Identifier of the management API as a resource (RFC 8707)."""
        return self.issuer + "/manage"

    @property
    def in_force(self) -> Features:
        """Return the features that are on and have what they need: a source of certificates, a trusted issuer."""
        mtls = self.features.mtls and self.mtls.has_source
        jwt_bearer = self.features.jwt_bearer and bool(self.trusted_issuers)
        return self.features.model_copy(update={"mtls": mtls, "jwt_bearer": jwt_bearer})

    def urls_of(self, endpoint: str) -> tuple[str, ...]:
        """Return the URLs under which clients know an endpoint of ours: its own, and its mTLS alias (RFC 8705 5)."""
        base = self.mtls.base_url
        return (endpoint,) if base is None else (endpoint, base + endpoint.removeprefix(self.issuer))

    @property
    def loopback(self) -> bool:
        """Say whether the issuer is on this machine's loopback interface."""
        return is_loopback(urlsplit(self.issuer).hostname or "")

    @property
    def audience(self) -> str:
        """Audience of a token for which no resource was named (DEFAULT_RESOURCE, else the issuer)."""
        return self.default_resource or self.issuer

    def secret(self) -> str:
        """Return the secret key; raises SettingsError when it is missing, unreadable or short."""
        if self.secret_key is not None:
            value = self.secret_key.get_secret_value()
        elif self.secret_key_file is not None:
            try:
                value = self.secret_key_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"AUTHSERVER_SECRET_KEY_FILE cannot be read: {type(error).__name__}") from None
        else:
            msg = "AUTHSERVER_SECRET_KEY or AUTHSERVER_SECRET_KEY_FILE is missing"
            raise SettingsError(msg)
        if len(value) < _MIN_SECRET:
            raise SettingsError(f"AUTHSERVER_SECRET_KEY is too short: it needs {_MIN_SECRET} characters or more")
        return value

    def redacted(self) -> dict[str, Any]:
        """Return every setting for people: no secret, no password in a URL."""
        return {name: _redacted(value) for name, value in self.model_dump(mode="json").items()}

    def previous_secrets(self) -> tuple[str, ...]:
        """Return the former secret keys."""
        return tuple(value.get_secret_value() for value in self.secret_key_previous)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of this process; raises SettingsError with every mistake in one message."""
    unknown = unknown_names(Settings)
    file = os.environ.get(PREFIX + "CONFIG")
    if file and not Path(file).is_file():
        unknown.append("AUTHSERVER_CONFIG names no file")
    tell_ignored(service_links())
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = [_sentence(dict(problem)) for problem in error.errors(include_input=False, include_url=False)]
        raise SettingsError("\n".join(dict.fromkeys(unknown + problems))) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            "\n".join([*unknown, f"AUTHSERVER_CONFIG cannot be read: {type(error).__name__}"])
        ) from None
    if unknown:
        raise SettingsError("\n".join(unknown))
    return settings


def is_loopback(host: str) -> bool:
    """Say whether a host name or address literal is loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sentence(problem: dict[str, Any]) -> str:
    text = str(problem["msg"]).removeprefix("Value error, ")
    name = PREFIX + "__".join(str(part).upper() for part in problem["loc"] if not isinstance(part, int))
    if problem["type"] == "extra_forbidden":
        return f"{name} is not a setting"
    return f"{name}: {text}" if problem["loc"] else text


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _redacted(part) for name, part in value.items()}
    return _URL_SECRET.sub(r"\1**********@", value) if isinstance(value, str) else value
