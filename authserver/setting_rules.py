"""What settings must hold together, beyond what each of them may be (``settings.py``)."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authserver.extension_sections import PERSONAL_SCOPES
from authserver.language import LANGUAGES

if TYPE_CHECKING:
    from authserver.settings import Settings


def broken(settings: "Settings") -> list[str]:
    """Return a sentence for each rule that the settings break."""
    return [sentence for wrong, sentence in _rules(settings) if wrong]


def _rules(settings: "Settings") -> list[tuple[bool, str]]:
    sqlite = settings.database_url.startswith("sqlite")
    http = settings.issuer.startswith("http:")
    return [
        (
            not sqlite and not settings.database_url.startswith("postgresql"),
            "DATABASE_URL must name SQLite or PostgreSQL",
        ),
        (
            not settings.languages
            or not LANGUAGES.keys() >= set(settings.languages)
            or len(set(settings.languages)) < len(settings.languages),
            f"LANGUAGES must name one or more of {', '.join(LANGUAGES)}, each once",
        ),
        (settings.nodes > 1 and sqlite, "NODES above 1 needs PostgreSQL: SQLite is for one machine"),
        (http and not settings.loopback, "ISSUER must be https unless it is on loopback"),
        (http and not settings.development, "ISSUER must be https, or start with --development on loopback"),
        (settings.development and not settings.loopback, "--development needs an ISSUER on loopback"),
        (
            settings.require_pushed_authorization_requests and not settings.features.par,
            "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS needs FEATURES__PAR",
        ),
        (
            settings.require_signed_request_object and not settings.features.jar,
            "REQUIRE_SIGNED_REQUEST_OBJECT needs FEATURES__JAR",
        ),
        (
            settings.ciba.test_approval and not settings.development,
            "CIBA__TEST_APPROVAL is for tests: it needs --development on loopback",
        ),
        (
            # ID-JAG draft, Cross-Domain Use: nobody gives tokens on the strength of its own assertions.
            any(trusted.issuer == settings.issuer for trusted in settings.trusted_issuers),
            "TRUSTED_ISSUERS cannot name ISSUER itself",
        ),
        (
            settings.default_resource == settings.management_resource,
            "DEFAULT_RESOURCE cannot be the management API: a token for it is asked for by its name",
        ),
        (
            any(scope.startswith("manage:") for scope in settings.registration.scopes),
            "REGISTRATION__SCOPES cannot have scopes of the management API: only an administrator gives those",
        ),
        (
            any(name in PERSONAL_SCOPES or name.startswith("manage:") for name in settings.claim_scopes),
            "CLAIM_SCOPES cannot have scopes of OpenID Connect or of the management API: those say what they open",
        ),
        (
            len({(trusted.issuer, trusted.typ) for trusted in settings.trusted_issuers})
            != len(settings.trusted_issuers),
            "TRUSTED_ISSUERS must name each issuer once for a typ",
        ),
        (
            settings.features.signup and any(trusted.account == "username" for trusted in settings.trusted_issuers),
            "TRUSTED_ISSUERS cannot name accounts by username with FEATURES__SIGNUP: anybody takes the names to come",
        ),
        *_mtls_rules(settings),
    ]


def _mtls_rules(settings: "Settings") -> list[tuple[bool, str]]:
    mtls = settings.mtls
    listens = mtls.certificate_file and mtls.key_file and mtls.ca_file
    return [
        (
            bool(mtls.certificate_header) and not settings.trusted_proxies,
            "MTLS__CERTIFICATE_HEADER needs TRUSTED_PROXIES: nobody else's header counts",
        ),
        (
            bool(mtls.port) and not listens,
            "MTLS__PORT needs MTLS__CERTIFICATE_FILE, MTLS__KEY_FILE and MTLS__CA_FILE",
        ),
        (
            mtls.base_url is not None and not _is_alias(mtls.base_url, settings.issuer),
            "MTLS__BASE_URL must be an https URL with the path of ISSUER and nothing behind it",
        ),
    ]


def _is_alias(url: str, issuer: str) -> bool:
    parts = urlsplit(url)
    return (
        parts.scheme == "https"
        and bool(parts.hostname)
        and parts.path == urlsplit(issuer).path
        and not any(mark in url for mark in "?#@")
    )
