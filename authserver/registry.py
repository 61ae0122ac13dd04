"""The table of contents: what exists, and in which order it runs.

Tuples in running order, no logic. An extension is its file, its test of the same name, and its lines here.
"""

from authserver.oauth import (
    access_token,
    authorization_code,
    client_auth,
    client_credentials,
    introspection,
    issuer,
    metadata,
    par,
    parameters,
    pkce,
    redirect_uri,
    refresh_token,
    resource,
    response_modes,
    revocation,
    scope,
    token,
)
from authserver.oidc import authentication_request, claims, discovery, end_session, id_token, userinfo

GRANTS = (
    authorization_code.AuthorizationCodeGrant,
    refresh_token.RefreshTokenGrant,
    client_credentials.ClientCredentialsGrant,
)

TOKEN_PATH = token.PATH

# name, path, methods, function (server, request) -> Answer
ENDPOINTS = (
    ("token", token.PATH, token.METHODS, token.respond),
    ("pushed_authorization_request", par.PATH, par.METHODS, par.respond),
    ("introspection", introspection.PATH, introspection.METHODS, introspection.respond),
    ("revocation", revocation.PATH, revocation.METHODS, revocation.respond),
    ("userinfo", userinfo.PATH, userinfo.METHODS, userinfo.respond),
    ("jwks", metadata.JWKS_PATH, metadata.METHODS, metadata.respond_jwks),
    ("metadata", metadata.PATH, metadata.METHODS, metadata.respond),
    ("discovery", discovery.PATH, discovery.METHODS, discovery.respond),
)

# Endpoints that a browser script of another origin may call, and for whom (DECISIONS, Redirects and cross-origin).
CORS_ANY = frozenset({"jwks", "metadata", "discovery"})
CORS_REGISTERED = frozenset({"token", "revocation", "userinfo", "pushed_authorization_request"})

# Served at the root, too, with the issuer's path behind (RFC 8414 3.1).
WELL_KNOWN = (metadata.PATH, discovery.PATH)

CLIENT_AUTH = {
    "client_secret_basic": client_auth.secret_basic,
    "client_secret_post": client_auth.secret_post,
    "private_key_jwt": client_auth.assertion,
    "client_secret_jwt": client_auth.assertion,
    "none": client_auth.none,
}

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = (
    ("query", response_modes.query),
    ("fragment", response_modes.fragment),
    ("form_post", response_modes.form_post),
)

PUSH_PREPARE = ()

AUTHORIZE_RESOLVE = (
    par.load,
    redirect_uri.check,
)

AUTHORIZE_CHECK = (
    response_modes.check,
    parameters.single,
    par.require,
    authorization_code.check_state,
    authentication_request.unsupported,
    authorization_code.check_response_type,
    scope.check,
    pkce.challenge,
    resource.check,
    authentication_request.nonce,
    authentication_request.prompt,
    authentication_request.max_age,
    authentication_request.acr_values,
    authentication_request.hints,
)

AUTHORIZE_FINISH = (par.complete,)

AUTHORIZE_RESPOND = (issuer.add,)

TOKEN_PREPARE = ()

TOKEN_CHECK = (
    pkce.verify,
    resource.narrow,
)

TOKEN_CLAIMS = (
    access_token.session,
    access_token.confirmation,
)

TOKEN_RESPOND = (id_token.add,)

USERINFO_CHECK = ()

METADATA = (
    metadata.metadata,
    par.metadata,
    authorization_code.metadata,
    response_modes.metadata,
    token.metadata,
    client_auth.metadata,
    scope.metadata,
    pkce.metadata,
    introspection.metadata,
    revocation.metadata,
    issuer.metadata,
    id_token.metadata,
    userinfo.metadata,
    claims.metadata,
    authentication_request.metadata,
    end_session.metadata,
    discovery.metadata,
)

# Names of parameters that may stand only once.
PARAMETERS = frozenset().union(
    parameters.PARAMETERS,
    client_auth.PARAMETERS,
    token.PARAMETERS,
    authorization_code.PARAMETERS,
    refresh_token.PARAMETERS,
    redirect_uri.PARAMETERS,
    par.PARAMETERS,
    response_modes.PARAMETERS,
    scope.PARAMETERS,
    pkce.PARAMETERS,
    authentication_request.PARAMETERS,
    userinfo.PARAMETERS,
    end_session.PARAMETERS,
)

# Member of a client's metadata → its check, beside those of manage/client_metadata.py.
CLIENT_METADATA = {
    **par.CLIENT_METADATA,
}
