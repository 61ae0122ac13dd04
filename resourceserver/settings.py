"""Every setting of the separate resource server: type, default and one sentence.

Read from `RESOURCESERVER_*` environment variables. Unknown names are refused, all errors are reported at once, and no
error repeats a value.
"""

import logging
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from resourceserver.fetch import check_url

log = logging.getLogger("resourceserver")

PREFIX = "RESOURCESERVER_"
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)

# What Kubernetes puts into the environment of every pod that lives beside a service called "resourceserver".
_LINK_NAME = re.compile(r"(?:[A-Z0-9_]+_)?SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)")
_LINK_WITH_ADDRESS = re.compile(r"(?:[A-Z0-9_]+_)?PORT(?:_\d+_TCP(?:_[A-Z]+)?)?")
_LINK_PART = re.compile(r"(?:[A-Z0-9_]+_)?PORT_\d+_TCP_(?:ADDR|PORT|PROTO)")


class SettingsError(ValueError):
    """The settings cannot be used; the message names each wrong setting and repeats no value."""


class Settings(BaseSettings):
    """All settings, frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field("localhost", description="Address to listen on; localhost means 127.0.0.1 and ::1.")
    port: int = Field(9001, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "", description="URL under which clients reach this server; by default http://localhost:PORT."
    )
    issuer: str = Field("http://localhost:9000", description="Issuer identifier of the authorization server.")
    database_url: str = Field(
        "sqlite:///var/resourceserver.db", description="SQLAlchemy URL of the notes and of used DPoP proofs (SQLite)."
    )
    client_id: str = Field("resource-server", min_length=1, description="Client id for introspection.")
    client_secret: SecretStr | None = Field(None, description="Client secret for introspection.")
    client_secret_file: Path | None = Field(None, description="File that holds the client secret.")
    signed_introspection: bool = Field(
        default=False, description="Whether introspection answers have to be signed JWTs (RFC 9701)."
    )
    ca_file: Path | None = Field(None, description="CA certificates (PEM) for the issuer, in place of the system's.")
    cache_seconds: int = Field(30, ge=0, le=300, description="Seconds for which an answer about a token is used again.")
    follow_revocations: bool = Field(
        default=True, description="Follow the issuer's revocation feed and status lists, where it has them."
    )
    dpop_required: bool = Field(default=False, description="Refuse tokens that are not bound to a key by DPoP.")
    dpop_nonces: bool = Field(default=False, description="Demand a nonce of this server in every DPoP proof.")
    dpop_proofs: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="DPoP proofs that are remembered; beyond that, proofs are answered 503.",
    )
    decryption_keys_file: Path | None = Field(
        None, description="File with the private keys (JWK Set) to which tokens for the almanac are encrypted."
    )
    require_encryption: bool = Field(
        default=True, description="Refuse tokens for the almanac that are not encrypted, where there are such keys."
    )
    certificate_header: str = Field(
        "", description="Header in which a trusted proxy hands on the client's certificate (RFC 9440 or escaped PEM)."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks whose certificate header counts, comma-separated."
    )
    notes_per_owner: int = Field(100, ge=1, le=10_000, description="Notes that one user or client may keep.")
    threads: int = Field(64, ge=1, le=512, description="Threads that answer requests.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious message logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `load_settings` only, which also sees the names that nobody knows."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return check_url(value)

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, value: str) -> str:
        if value and (value.endswith("/") or "?" in value):
            raise ValueError("a public URL ends without a slash and has no query")
        return check_url(value) if value else value

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        if not value.startswith("sqlite:"):
            raise ValueError("notes are kept in SQLite")
        return value

    @field_validator("client_secret_file", "ca_file", "decryption_keys_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    @field_validator("certificate_header")
    @classmethod
    def _header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            raise ValueError("the name of a header has letters, digits and dashes")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for network in value:
                ip_network(network, strict=False)
        except ValueError:
            raise ValueError("not addresses or networks, separated by commas") from None
        return value

    @model_validator(mode="after")
    def _proxies(self) -> Self:
        if self.certificate_header and not self.trusted_proxies:
            raise ValueError("CERTIFICATE_HEADER needs TRUSTED_PROXIES")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("CLIENT_SECRET and CLIENT_SECRET_FILE exclude each other")
        return self

    @property
    def url(self) -> str:
        """The public URL, without a slash at the end."""
        return self.public_url or f"http://localhost:{self.port}"

    def secret(self) -> str:
        """Return the client secret, from the setting or from its file.

        Raises SettingsError when there is none.
        """
        if self.client_secret is not None:
            value = self.client_secret.get_secret_value()
        elif self.client_secret_file is not None:
            value = self.client_secret_file.read_text(encoding="utf-8").strip()
        else:
            value = ""
        if not value:
            raise SettingsError(f"{PREFIX}CLIENT_SECRET or {PREFIX}CLIENT_SECRET_FILE is needed for introspection")
        return value


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`; an empty value counts as not set.

    Raises SettingsError.
    """
    values: dict[str, str] = {}
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        key, value = name.removeprefix(PREFIX), environ[name]
        if _is_service_link(key, value):
            log.info("%s is a Kubernetes service link and is ignored", name)
        elif value:
            # A name in small letters is another name: it stays whole, and so unknown.
            values[key.lower() if key == key.upper() else name] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as errors:
        raise SettingsError(_sentence(errors)) from None


def _is_service_link(key: str, value: str) -> bool:
    if _LINK_NAME.fullmatch(key) or _LINK_PART.fullmatch(key):
        return True
    return _LINK_WITH_ADDRESS.fullmatch(key) is not None and value.startswith("tcp://")


def _sentence(errors: ValidationError) -> str:
    found = []
    for error in errors.errors(include_url=False, include_context=False, include_input=False):
        field = "_".join(str(part) for part in error["loc"])
        name = field if field.startswith(PREFIX) else PREFIX + field.upper() if field else "settings"
        unknown = error["type"] == "extra_forbidden"
        found.append(f"{name}: {'unknown setting' if unknown else error['msg'].removeprefix('Value error, ')}")
    return "; ".join(found)
