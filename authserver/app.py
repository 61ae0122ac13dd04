"""The only composition root: settings → store → keys → server → blueprints → gateway."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask

from authserver import log, registry
from authserver.crypto import Sealer
from authserver.keys import KeyRing
from authserver.limits import Limits
from authserver.oauth.server import Server
from authserver.outbound import Outbound
from authserver.settings import Settings, load_settings
from authserver.store import open_store
from authserver.web import (
    account,
    authorize,
    chooser,
    ciba_approval,
    consent,
    device,
    errors,
    health,
    login,
    logout,
    pages,
    protocol,
    second_factor,
    security,
    session_state,
    signup,
)
from authserver.web.gateway import Gateway
from resourceserver.whole_request import WholeRequests

if TYPE_CHECKING:
    from authserver.manage.client_metadata import Check
    from authserver.store import Store

MAX_BODY = 64 * 1024


def create_app(settings: Settings | None = None, store: "Store | None" = None) -> Flask:
    """Build the application; raises SettingsError, StoreError or KeyRingError when it must not start."""
    settings = settings or load_settings()
    server = create_server(settings, store or open_store(settings))
    app = Flask("authserver", template_folder="web/templates", static_folder="web/static", static_url_path="/static")
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_PARTS=100, APPLICATION_ROOT=server.base_path or "/")
    # No redirect to another spelling of an address: it would name the host that the request named.
    app.url_map.merge_slashes = False
    app.extensions["authserver"] = server
    for part in (authorize, login, chooser, second_factor, consent, device, logout, account, health):
        app.register_blueprint(part.blueprint)
    if settings.ciba.test_approval:
        app.register_blueprint(ciba_approval.blueprint)
    if settings.in_force.signup:
        app.register_blueprint(signup.blueprint)
    if settings.in_force.session_management:
        app.register_blueprint(session_state.blueprint)
        session_state.keep(app)
    endpoints = protocol.Endpoints(server)
    protocol.mount(app, server, endpoints)
    security.protect(app)
    pages.register(app)
    errors.register(app)
    app.wsgi_app = WholeRequests(Gateway(app.wsgi_app, server, endpoints), threads=settings.threads)  # type: ignore[method-assign] # Flask's documented extension point
    return app


def client_members() -> Mapping[str, "Check"]:
    """Return the members of a client's metadata that extensions bring: name to check."""
    return registry.CLIENT_METADATA


def create_server(settings: Settings, store: "Store") -> Server:
    """Build the protocol server over an open store."""
    sealer = Sealer(settings.secret(), settings.previous_secrets())
    keys = KeyRing(store, sealer, settings)
    keys.load()
    log.configure(settings)
    server = Server(settings, store, keys, sealer, Limits(store, settings), Outbound(settings), registry)
    # Made now, so that it is in memory however soon the store goes away (DECISIONS, Faults).
    server.metadata_document()
    return server
