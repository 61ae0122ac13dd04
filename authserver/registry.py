"""The table of contents: what exists, and in which order it runs.

Tuples in running order, no logic. An extension is its file, its test of the same name, and its lines here.
"""

from authserver.api import endpoint as management
from authserver.api import metadata as management_metadata
from authserver.oauth import (
    access_token,
    authorization_code,
    client_auth,
    client_credentials,
    client_id_metadata,
    client_logo,
    device,
    dpop,
    identity_assertion,
    introspection,
    introspection_jwt,
    issuer,
    jar,
    jarm,
    jwt_bearer,
    metadata,
    mtls,
    par,
    parameters,
    pkce,
    rar,
    redirect_uri,
    refresh_token,
    registration,
    registration_manage,
    resource,
    response_modes,
    revocation,
    revocation_events,
    scope,
    status_list,
    token,
    token_exchange,
)
from authserver.oidc import (
    authentication_request,
    backchannel_logout,
    ciba,
    ciba_request,
    claims,
    claims_locales,
    claims_request,
    discovery,
    end_session,
    frontchannel_logout,
    hybrid,
    id_token,
    session_management,
    step_up,
    subject,
    user_registration,
    userinfo,
)

GRANTS = (
    authorization_code.AuthorizationCodeGrant,
    refresh_token.RefreshTokenGrant,
    client_credentials.ClientCredentialsGrant,
    device.DeviceCodeGrant,
    ciba.CibaGrant,
    token_exchange.TokenExchangeGrant,
    jwt_bearer.JWTBearerGrant,
)

# requested_token_type → what issues it (RFC 8693 2.1), and typ of an assertion → its profile (RFC 7523 3).
EXCHANGES = {
    token_exchange.ACCESS_TOKEN: token_exchange.to_access_token,
    token_exchange.JWT: token_exchange.to_access_token,
    identity_assertion.TOKEN_TYPE: identity_assertion.give,
}
ASSERTIONS = {
    jwt_bearer.PLAIN: jwt_bearer.plain,
    identity_assertion.TYP: identity_assertion.take,
}

TOKEN_PATH = token.PATH

# name, path, methods, function (server, request) -> Answer
ENDPOINTS = (
    ("token", token.PATH, token.METHODS, token.respond),
    ("pushed_authorization_request", par.PATH, par.METHODS, par.respond),
    ("device_authorization", device.PATH, device.METHODS, device.respond),
    ("backchannel_authentication", ciba.PATH, ciba.METHODS, ciba.respond),
    ("introspection", introspection.PATH, introspection.METHODS, introspection.respond),
    ("revocation", revocation.PATH, revocation.METHODS, revocation.respond),
    ("revocation_events", revocation_events.PATH, revocation_events.METHODS, revocation_events.respond),
    ("status_list", status_list.PATH, status_list.METHODS, status_list.respond),
    ("status_lists", status_list.AGGREGATION_PATH, status_list.METHODS, status_list.respond_all),
    ("client_logo", client_logo.PATH, client_logo.METHODS, client_logo.respond),
    ("userinfo", userinfo.PATH, userinfo.METHODS, userinfo.respond),
    ("registration", registration.PATH, registration.METHODS, registration.respond),
    ("client_configuration", registration_manage.PATH, registration_manage.METHODS, registration_manage.respond),
    ("jwks", metadata.JWKS_PATH, metadata.METHODS, metadata.respond_jwks),
    ("metadata", metadata.PATH, metadata.METHODS, metadata.respond),
    ("discovery", discovery.PATH, discovery.METHODS, discovery.respond),
    ("management", management_metadata.PATH, management_metadata.METHODS, management_metadata.respond),
)

# The management API: endpoints with a table of their own.
MANAGEMENT = management.ENDPOINTS

# Resources that are there by themselves: a function (settings) -> Resource.
RESOURCES = (management_metadata.resource,)

# Kind of a job → what writes its message: a function (server, job) -> Message.
JOBS = {
    backchannel_logout.KIND: backchannel_logout.write,
}

# What the page after a logout loads in frames: a function (server, ended sessions) -> URLs.
LOGOUT_FRAMES = (frontchannel_logout.frames,)

# Endpoints whose bodies are JSON objects.
TAKE_JSON = frozenset({"registration", "client_configuration"})

# Endpoints that read parameters of a GET from its URL; a secret is none of them (RFC 6749 2.3.1).
TAKE_QUERY = frozenset({"revocation_events", "status_list", "client_logo"})

# Endpoints that a browser script of another origin may call, and for whom (DECISIONS, Redirects and cross-origin).
CORS_ANY = frozenset({"jwks", "metadata", "discovery", "registration", "status_list", "status_lists"})
CORS_REGISTERED = frozenset({"token", "revocation", "userinfo", "pushed_authorization_request", "device_authorization"})

# Served at the root, too, with the issuer's path behind (RFC 8414 3.1).
WELL_KNOWN = (metadata.PATH, discovery.PATH)

CLIENT_AUTH = {
    "client_secret_basic": client_auth.secret_basic,
    "client_secret_post": client_auth.secret_post,
    "private_key_jwt": client_auth.assertion,
    "client_secret_jwt": client_auth.assertion,
    "tls_client_auth": mtls.by_authority,
    "self_signed_tls_client_auth": mtls.by_registration,
    "none": client_auth.none,
}

# Values of prompt, each with the step that reads it.
PROMPTS = (
    ("none", authentication_request.prompt),
    ("login", authentication_request.prompt),
    ("consent", authentication_request.prompt),
    ("select_account", authentication_request.prompt),
    ("create", user_registration.check),
)

# response_type → what answers it: (server, request, session, seed) -> parameters. Words in alphabetical order (3.1.1).
RESPONSE_TYPES = (
    ("code", authorization_code.answer),
    ("code id_token", hybrid.answer),
    ("code id_token token", hybrid.answer),
    ("code token", hybrid.answer),
    ("id_token", hybrid.answer),
    ("id_token token", hybrid.answer),
    ("token id_token", hybrid.answer),  # never asked for under this name; how certification looks for the one above
)
RESPONSE_MODES = (
    ("query", response_modes.query),
    ("fragment", response_modes.fragment),
    ("form_post", response_modes.form_post),
    ("jwt", jarm.query),
    ("query.jwt", jarm.query),
    ("fragment.jwt", jarm.fragment),
    ("form_post.jwt", jarm.form_post),
)

PUSH_PREPARE = (dpop.proof,)

# Where a client is described that nobody has registered: a class (server) with find (client_id, stored) -> Client.
CLIENT_FINDERS = (client_id_metadata.Documents,)

# What clients call users: a class (server) with of, session_of and find, as ``oauth.server.Subjects`` says.
SUBJECTS = subject.Subjects

# What a client shows that nobody vouches for: (server, metadata), checked whenever it is registered or changed.
REGISTRATION_CHECK = (subject.check_sector,)

AUTHORIZE_RESOLVE = (
    client_id_metadata.resolve,
    par.load,
    jar.unpack,
    redirect_uri.check,
)

AUTHORIZE_CHECK = (
    hybrid.place,
    response_modes.check,
    jarm.check,
    parameters.single,
    par.require,
    jar.require,
    authorization_code.check_state,
    authentication_request.unsupported,
    authorization_code.check_response_type,
    rar.check,
    scope.check,
    pkce.challenge,
    resource.check,
    rar.add_resources,
    dpop.code_binding,
    authentication_request.nonce,
    authentication_request.prompt,
    authentication_request.max_age,
    step_up.acr_values,
    authentication_request.hints,
    claims_request.check,
    claims_locales.check,
    user_registration.check,
    hybrid.check,
    id_token.check_key,
)

AUTHORIZE_FINISH = (par.complete,)

AUTHORIZE_GRANT = (client_id_metadata.keep,)

# What a good answer tells beside what its response type does: (server, request, sessions, parameters).
AUTHORIZE_ANSWER = (session_management.add_state,)

AUTHORIZE_RESPOND = (
    issuer.add,
    jarm.sign,
)

# What of an authorization request a device can ask for, too.
DEVICE_CHECK = (
    rar.check,
    scope.check,
    resource.check,
    rar.add_resources,
    id_token.check_key,
)

# What a client can ask of a user behind the scenes; the first step opens a signed request.
CIBA_CHECK = (
    ciba_request.unpack,
    rar.check,
    scope.check,
    ciba_request.openid,
    resource.check,
    rar.add_resources,
    step_up.acr_values,
    ciba_request.notification_token,
    ciba_request.binding_message,
    ciba_request.user_code,
    ciba_request.requested_expiry,
    id_token.check_key,
)

TOKEN_PREPARE = (
    dpop.proof,
    dpop.require,
    mtls.certificate,
    rar.check,
)

TOKEN_CHECK = (
    pkce.verify,
    rar.narrow,
    resource.narrow,
    rar.limit,
    dpop.binding,
    mtls.binding,
    id_token.check_key,
)

TOKEN_CLAIMS = (
    access_token.session,
    access_token.confirmation,
    rar.claim,
    token_exchange.actor,
    status_list.reference,  # last: of what is refused before, no place is used up
)

TOKEN_RESPOND = (
    rar.echo,
    id_token.add,
)

INTROSPECTION_RESPOND = (
    subject.introspected,
    introspection_jwt.sign,
)

USERINFO_CHECK = (
    dpop.resource_proof,
    mtls.shown,
)

METADATA = (
    metadata.metadata,
    par.metadata,
    authorization_code.metadata,
    device.metadata,
    response_modes.metadata,
    jarm.metadata,
    token.metadata,
    client_auth.metadata,
    mtls.metadata,
    scope.metadata,
    rar.metadata,
    pkce.metadata,
    dpop.metadata,
    introspection.metadata,
    introspection_jwt.metadata,
    identity_assertion.metadata,
    revocation.metadata,
    revocation_events.metadata,
    status_list.metadata,
    issuer.metadata,
    subject.metadata,
    id_token.metadata,
    userinfo.metadata,
    claims.metadata,
    claims_request.metadata,
    authentication_request.metadata,
    step_up.metadata,
    ciba.metadata,
    jar.metadata,  # after authentication_request, which says no
    end_session.metadata,
    backchannel_logout.metadata,
    frontchannel_logout.metadata,
    session_management.metadata,
    registration.metadata,
    client_id_metadata.metadata,
    discovery.metadata,
    management_metadata.metadata,
)

# Names of parameters that may stand only once.
PARAMETERS = frozenset().union(
    parameters.PARAMETERS,
    client_auth.PARAMETERS,
    token.PARAMETERS,
    authorization_code.PARAMETERS,
    refresh_token.PARAMETERS,
    revocation_events.PARAMETERS,
    device.PARAMETERS,
    token_exchange.PARAMETERS,
    jwt_bearer.PARAMETERS,
    redirect_uri.PARAMETERS,
    par.PARAMETERS,
    response_modes.PARAMETERS,
    scope.PARAMETERS,
    rar.PARAMETERS,
    pkce.PARAMETERS,
    dpop.PARAMETERS,
    authentication_request.PARAMETERS,
    ciba_request.PARAMETERS,
    ciba.PARAMETERS,
    claims_request.PARAMETERS,
    userinfo.PARAMETERS,
    end_session.PARAMETERS,
)

# Member of a client's metadata → its check, beside those of manage/client_metadata.py.
CLIENT_METADATA = {
    **par.CLIENT_METADATA,
    **dpop.CLIENT_METADATA,
    **jar.CLIENT_METADATA,
    **response_modes.CLIENT_METADATA,
    **jarm.CLIENT_METADATA,
    **introspection_jwt.CLIENT_METADATA,
    **mtls.CLIENT_METADATA,
    **rar.CLIENT_METADATA,
    **ciba_request.CLIENT_METADATA,
    **id_token.CLIENT_METADATA,
    **userinfo.CLIENT_METADATA,
    **subject.CLIENT_METADATA,
    **backchannel_logout.CLIENT_METADATA,
    **frontchannel_logout.CLIENT_METADATA,
    **hybrid.CLIENT_METADATA,
}
