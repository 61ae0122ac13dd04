"""The separate resource server, put together: settings, verifiers, notes, routes, limits, log."""

import hmac
import json
import logging
import time
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from resourceserver.binding import DPoP
from resourceserver.decryption import Decryption
from resourceserver.discovery import IssuerMetadata
from resourceserver.dpop import Nonces
from resourceserver.errors import ResourceError
from resourceserver.fetch import Fetcher
from resourceserver.introspect import IntrospectionClient
from resourceserver.jwks import KeySource
from resourceserver.metadata import metadata_url
from resourceserver.mtls import ProxyCertificates
from resourceserver.notes import NoteStore, NotesUnavailableError
from resourceserver.replays import ReplaysUnavailableError
from resourceserver.resources import almanac_api, keys_api, metadata_api, notes_api
from resourceserver.revocations import Revocations
from resourceserver.settings import PREFIX, Settings, SettingsError
from resourceserver.status_list import StatusLists
from resourceserver.used_proofs import UsedProofs
from resourceserver.verifier import Verifier
from resourceserver.whole_request import WholeRequests

log = logging.getLogger("resourceserver")
access_log = logging.getLogger("resourceserver.access")

MAX_BODY: Final = 65_536
MAX_HEADERS: Final = 16_384
MAX_URL: Final = 8_192
NOTES_SCOPES: Final = ("notes:read", "notes:write")
ALMANAC_SCOPES: Final = ("almanac:read",)
KEYS_PATH: Final = "/jwks"

_ERROR_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "content_too_large",
    503: "unavailable",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
}


def create_app(settings: Settings) -> Flask:
    """Build the WSGI application. The issuer need not be there yet.

    Raises SettingsError without a client secret or with unusable keys, NotesUnavailableError without a database.
    """
    app = Flask("resourceserver", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False
    store = NoteStore(settings.database_url, most_per_owner=settings.notes_per_owner)
    notes, almanac = _verifiers(settings)
    prefix = urlsplit(settings.url).path or None
    app.register_blueprint(notes_api(notes, store), url_prefix=prefix)
    app.register_blueprint(almanac_api(almanac), url_prefix=prefix)
    for verifier, scopes, name in ((notes, NOTES_SCOPES, "Notes"), (almanac, ALMANAC_SCOPES, "Almanac")):
        more = {"jwks_uri": f"{settings.url}{KEYS_PATH}"} if verifier.decryption else {}
        app.register_blueprint(metadata_api(verifier, scopes, name, urlsplit(verifier.resource_metadata).path, more))
    if almanac.decryption is not None:
        app.register_blueprint(keys_api(almanac.decryption, KEYS_PATH), url_prefix=prefix)
    _add_pages(app, store, [notes, almanac])
    _add_limits(app)
    _add_errors(app)
    _add_log_and_headers(app, hsts=settings.url.startswith("https:"))
    app.wsgi_app = WholeRequests(app.wsgi_app, threads=settings.threads)  # type: ignore[method-assign] # Flask's documented extension point
    return app


def _verifiers(settings: Settings) -> tuple[Verifier, Verifier]:
    fetcher = Fetcher(ca_file=settings.ca_file)
    issuer = IssuerMetadata(settings.issuer, fetcher)
    keys = KeySource(issuer, fetcher)
    introspection = IntrospectionClient(
        issuer,
        fetcher,
        client_id=settings.client_id,
        client_secret=settings.secret(),
        keys=keys if settings.signed_introspection else None,
    )
    revocations = statuses = None
    if settings.follow_revocations:
        revocations = Revocations(
            issuer, fetcher, client_id=settings.client_id, client_secret=settings.secret(), required=False
        )
        statuses = StatusLists(issuer, fetcher, keys=keys)
    dpop, certificates = _dpop(settings), _certificates(settings)
    notes, almanac = f"{settings.url}/notes", f"{settings.url}/almanac"
    return (
        Verifier(
            settings.issuer,
            notes,
            introspection=introspection,
            jwt=False,
            cache_seconds=settings.cache_seconds,
            revocations=revocations,
            dpop=dpop,
            certificates=certificates,
            realm="notes",
            resource_metadata=metadata_url(notes),
        ),
        Verifier(
            settings.issuer,
            almanac,
            keys=keys,
            cache_seconds=settings.cache_seconds,
            revocations=revocations,
            statuses=statuses,
            dpop=dpop,
            decryption=_decryption(settings),
            certificates=certificates,
            realm="almanac",
            resource_metadata=metadata_url(almanac),
        ),
    )


def _dpop(settings: Settings) -> DPoP:
    try:
        used = UsedProofs(settings.database_url, most=settings.dpop_proofs)
    except ReplaysUnavailableError as failure:
        raise NotesUnavailableError from failure
    # The client secret is what all processes of this server know, and no client.
    nonces = Nonces(hmac.digest(settings.secret().encode(), b"resourceserver:dpop-nonce", "sha256"))
    public = urlsplit(settings.url)
    return DPoP(
        f"{public.scheme}://{public.netloc}",
        replays=used,
        nonces=nonces if settings.dpop_nonces else None,
        required=settings.dpop_required,
    )


def _decryption(settings: Settings) -> Decryption | None:
    if settings.decryption_keys_file is None:
        return None
    try:
        return Decryption.from_file(settings.decryption_keys_file, required=settings.require_encryption)
    except OSError:
        raise SettingsError(f"{PREFIX}DECRYPTION_KEYS_FILE: the file cannot be read") from None
    except ValueError as problem:
        raise SettingsError(f"{PREFIX}DECRYPTION_KEYS_FILE: {problem}") from None


def _certificates(settings: Settings) -> ProxyCertificates | None:
    header = settings.certificate_header
    return ProxyCertificates(header, settings.trusted_proxies) if header else None


def _add_pages(app: Flask, store: NoteStore, verifiers: list[Verifier]) -> None:
    @app.get("/")
    def index() -> ResponseReturnValue:
        listed = [{"resource": each.audience, "metadata": each.resource_metadata} for each in verifiers]
        return jsonify(resources=listed)

    @app.get("/health/live")
    def live() -> ResponseReturnValue:
        return jsonify(status="live")

    @app.get("/health/ready")
    def ready() -> ResponseReturnValue:
        # The issuer is left out: while it is away, tokens are answered 503 and everything else still works.
        return (jsonify(status="ready"), 200) if store.ready() else (jsonify(status="not ready"), 503)


def _add_limits(app: Flask) -> None:
    @app.before_request
    def limit() -> None:
        g.started = time.perf_counter()
        if len(request.path) + len(request.query_string) > MAX_URL:
            abort(414)
        if sum(len(name) + len(value) + 4 for name, value in request.headers) > MAX_HEADERS:
            abort(431)


def _add_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        fixed = error.description if status in {400, 409, 415} else error.name
        response = jsonify(error=_ERROR_CODES.get(status, "invalid_request"), error_description=fixed)
        if error.response is not None or 300 <= status < 400:
            return error
        response.headers.extend(
            (name, value) for name, value in error.get_headers() if name not in {"Content-Type", "Content-Length"}
        )
        return response, status

    @app.errorhandler(NotesUnavailableError)
    def away(_error: NotesUnavailableError) -> ResponseReturnValue:
        log.error("the notes cannot be reached")
        return jsonify(error="unavailable", error_description="The notes cannot be reached"), 503, {"Retry-After": "1"}

    @app.errorhandler(Exception)
    def failed(error: Exception) -> ResponseReturnValue:
        log.error("unexpected error", exc_info=error)
        return jsonify(error="server_error", error_description="Something went wrong here"), 500


def _add_log_and_headers(app: Flask, *, hsts: bool) -> None:
    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.update(_HEADERS)
        if hsts:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        access_log.info("%s", access_line(response.status_code))
        return response


def access_line(status: int) -> str:
    """Return the log line of the current request, with nothing in it that could break the line or hold a token.

    The path is shown as its route, without the query; client ids are quoted.
    """
    route = request.url_rule.rule if request.url_rule else "(no route)"
    method = request.method if request.method.isalpha() and len(request.method) <= 10 else "(method)"
    took = (time.perf_counter() - g.started) * 1000 if "started" in g else 0.0
    line = f"{method} {route} {status} {took:.1f}ms"
    token, refusal = g.get("access_token"), g.get("refusal")
    if token is not None:
        line += f" client={json.dumps(token.client_id)} checked_by={token.checked_by}"
    if isinstance(refusal, ResourceError):
        line += f' refused={refusal.error or "no_token"} reason="{refusal.reason}"'
    return line
