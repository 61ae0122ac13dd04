"""What goes wrong, in fixed sentences: the error codes (``error_codes``), and the only place of their descriptions.

Descriptions are printable ASCII (RFC 6749 5.2), never the client's words: an error page or a log that repeats input is
a way in.
"""

from typing import Final

from authlib.oauth2.rfc6749.errors import OAuth2Error

from authserver.language import N_
from authserver.oauth.error_codes import (
    PROOF_NONCE,
    TOO_MANY_FAILURES,
    AccessDenied,
    AccountSelectionRequired,
    AuthorizationPending,
    ConsentRequired,
    ExpiredToken,
    InsufficientScope,
    InvalidAuthorizationDetails,
    InvalidBindingMessage,
    InvalidClient,
    InvalidClientMetadata,
    InvalidDPoPProof,
    InvalidGrant,
    InvalidRedirectURI,
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestURI,
    InvalidScope,
    InvalidSoftwareStatement,
    InvalidTarget,
    InvalidToken,
    InvalidUserCode,
    LoginRequired,
    NotRedirectable,
    PollSlower,
    Refusal,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestURINotSupported,
    SlowDown,
    TokenWanted,
    TooManyRequests,
    UnapprovedSoftwareStatement,
    UnauthorizedClient,
    UnknownUserID,
    UnmetAuthenticationRequirements,
    UnsupportedGrantType,
    UnsupportedResponseType,
    UseDPoPNonce,
)

__all__ = [
    "PROOF_NONCE",
    "TOO_MANY_FAILURES",
    "AccessDenied",
    "AccountSelectionRequired",
    "AuthorizationPending",
    "ConsentRequired",
    "ExpiredToken",
    "InsufficientScope",
    "InvalidAuthorizationDetails",
    "InvalidBindingMessage",
    "InvalidClient",
    "InvalidClientMetadata",
    "InvalidDPoPProof",
    "InvalidGrant",
    "InvalidRedirectURI",
    "InvalidRequest",
    "InvalidRequestObject",
    "InvalidRequestURI",
    "InvalidScope",
    "InvalidSoftwareStatement",
    "InvalidTarget",
    "InvalidToken",
    "InvalidUserCode",
    "LoginRequired",
    "NotRedirectable",
    "OAuth2Error",
    "PollSlower",
    "Refusal",
    "RegistrationNotSupported",
    "RequestNotSupported",
    "RequestURINotSupported",
    "SlowDown",
    "TokenWanted",
    "TooManyRequests",
    "UnapprovedSoftwareStatement",
    "UnauthorizedClient",
    "UnknownUserID",
    "UnmetAuthenticationRequirements",
    "UnsupportedGrantType",
    "UnsupportedResponseType",
    "UseDPoPNonce",
]

ASK_DEVELOPER: Final = N_("Go back to the application and try again. If it happens again, tell the people who run it.")
UNKNOWN_CLIENT: Final = N_("The application that sent you here is not known to this server.")
BAD_REDIRECT_URI: Final = N_("The application asked to be answered at an address that it has not registered.")
REPEATED_ADDRESS: Final = N_("The application named itself or its address more than once.")

REPEATED: Final = N_("A parameter was sent more than once.")
MALFORMED: Final = N_("The request is not well-formed.")
IN_QUERY: Final = N_("Parameters belong in the body of the request, not in its URL.")
CONTENT_TYPE: Final = N_("The content type must be application/x-www-form-urlencoded.")
JSON_TYPE: Final = "The content type must be application/json."
TOO_LARGE: Final = N_("The request is too large.")
CUT_OFF: Final = N_("The body of the request ended before its announced length.")
TWO_METHODS: Final = "The client authenticated in more than one way."
NOT_AUTHENTICATED: Final = "Client authentication failed."
GRANT_TYPE_MISSING: Final = "The grant_type parameter is missing."
GRANT_TYPE_UNKNOWN: Final = "The grant type is not supported."
GRANT_TYPE_REFUSED: Final = "The client may not use this grant type."
RESPONSE_TYPE_MISSING: Final = "The response_type parameter is missing."
RESPONSE_TYPE_UNKNOWN: Final = "The response type is not supported."
RESPONSE_TYPE_REFUSED: Final = "The client may not use this response type."
RESPONSE_MODE: Final = "The response mode is not supported for this request."
STATE: Final = "The state is too long."
CODE_MISSING: Final = "The code parameter is missing."
CODE_INVALID: Final = "The code is unknown, expired, used or not meant for this client."
REDIRECT_URI_DIFFERS: Final = "The redirect_uri does not match the authorization request."
VERIFIER_MISSING: Final = "The code_verifier is missing."
VERIFIER_WRONG: Final = "The code_verifier does not match the code_challenge."
VERIFIER_UNASKED: Final = "A code_verifier was sent, but the authorization request had no code_challenge."
CHALLENGE_MISSING: Final = "The code_challenge is missing."
CHALLENGE_MALFORMED: Final = "The code_challenge is not well-formed."
CHALLENGE_METHOD: Final = "The code_challenge_method must be S256."
DEVICE_CODE_MISSING: Final = "The device_code parameter is missing."
DEVICE_CODE_INVALID: Final = "The device code is unknown, used or not meant for this client."
DEVICE_CODE_EXPIRED: Final = "The device code has expired; begin again when the person asks for it."
DEVICES_TOO_OFTEN: Final = "Too many device authorization requests; wait before making another one."
PENDING: Final = "The user has not decided yet."
AUTH_REQ_ID_MISSING: Final = "The auth_req_id parameter is missing."
AUTH_REQ_ID_INVALID: Final = "The auth_req_id is unknown, used or not meant for this client."
AUTH_REQ_ID_EXPIRED: Final = "The auth_req_id has expired; nobody answered, or nobody fetched the answer, in time."
REQUESTS_TOO_OFTEN: Final = "Too many authentication requests; wait before making another one."
REQUESTS_WAITING: Final = "Too many authentication requests wait for this user already."
OPENID_MISSING: Final = "The scope has to contain openid."
SIGNED_ALONE: Final = "Beside a signed request stands nothing but the client's authentication."
ONE_HINT: Final = "Exactly one of login_hint and id_token_hint has to say who the user is."
HINT_TOKEN: Final = "The login_hint_token parameter is not supported."
USER_UNKNOWN: Final = "The hint names no user who can be asked."
BINDING_MESSAGE: Final = "The binding_message is longer than 128 characters, or has others than plain ones."
CONTEXT_MISSING: Final = "The client has to send a binding_message, or authorization_details."
USER_CODE: Final = "The user_code parameter is not supported."
NOTIFICATION_TOKEN: Final = "The client_notification_token is missing, short, long or not well-formed."
POLLED_TOO_OFTEN: Final = "The user has not decided yet; wait five seconds longer between requests."
OVERTAKEN: Final = "What the token rests on was revoked while it was being made."
REFRESH_MISSING: Final = "The refresh_token parameter is missing."
REFRESH_INVALID: Final = "The refresh token is unknown, expired, used or not meant for this client."
SCOPE_MALFORMED: Final = "The scope is not well-formed."
SCOPE_REFUSED: Final = "The client may not ask for this scope."
SCOPE_WIDER: Final = "The scope is wider than what was granted."
SCOPE_NONE: Final = "No scope was asked for and the client has no default scope."
SCOPE_USELESS: Final = "Nothing of the scope means anything to the resource."
SCOPE_PERSONAL: Final = "A client that acts for itself cannot ask for the scopes of a person."
RESOURCE_MALFORMED: Final = "A resource must be an absolute URI without a fragment."
RESOURCE_REFUSED: Final = "The resource is unknown, or the client may not ask for it."
RESOURCE_NOT_GRANTED: Final = "The resource was not part of the grant."
RESOURCE_KEY: Final = "The resource has no key to which its tokens can be encrypted."
RESOURCE_AMBIGUOUS: Final = "Several resources were granted: name one of them."
SUBJECT_MISSING: Final = "The subject_token or its subject_token_type is missing."
SUBJECT_INVALID: Final = "The subject_token is unknown, expired, revoked or not meant for this client."
SUBJECT_BOUND: Final = "The subject_token is bound to a key: the key, or one of the client, has to be proven."
ACTOR_INCOMPLETE: Final = "The actor_token and the actor_token_type come together or not at all."
ACTOR_INVALID: Final = "The actor_token is unknown, expired, revoked or not meant for this client."
ACTOR_REFUSED: Final = "The subject_token names somebody else who may act."
ACTORS: Final = "The chain of actors is too long."
TOKEN_TYPE: Final = "The type of the token is not supported here."
REQUESTED_TYPE: Final = "The requested_token_type is not supported for this target."
EXCHANGE_REFUSED: Final = "The client has no target for which it may exchange tokens."
AUDIENCE_MISSING: Final = "The audience parameter is missing."
AUDIENCE_REFUSED: Final = "The audience is unknown, or the client may not ask for it."
ASSERTION_MISSING: Final = "The assertion parameter is missing."
ASSERTION_INVALID: Final = "The assertion is not valid here."
DETAILS_MALFORMED: Final = "The authorization_details are no list of objects in JSON, or too large."
DETAILS_TYPE: Final = "The type of an authorization detail is unknown, or the client may not ask for it."
DETAILS_UNFIT: Final = "An authorization detail has an unknown, missing or wrong member."
DETAILS_LOCATION: Final = "An authorization detail is about a resource that the client may not ask for."
DETAILS_NOT_GRANTED: Final = "The authorization_details ask for more than what was granted."
DETAILS_ELSEWHERE: Final = "An authorization detail is not meant for the resource of the token."
DETAILS_WITHOUT_USER: Final = "Only a person can allow an authorization detail of this type."
NO_RESOURCE_SERVER: Final = "The client is not registered as a resource server."
TOKEN_MISSING: Final = "The token parameter is missing."
TOKEN_FOREIGN: Final = "The token was issued to another client."
TOKEN_INVALID: Final = "The access token is unknown, expired or revoked."
OPENID_SCOPE: Final = "The access token lacks the scope openid."
PROMPT: Final = "The prompt parameter is not valid."
MAX_AGE: Final = "The max_age parameter is not a number of seconds."
NONCE: Final = "The nonce is not well-formed."
NONCE_MISSING: Final = "The nonce parameter is missing."
PARAMETER: Final = "A parameter is not well-formed."
NEED_LOGIN: Final = "The user has to sign in."
NEED_CONSENT: Final = "The user has to consent."
NEED_SELECTION: Final = "The user has to choose an account."
DENIED: Final = "The user denied the request."
PUSH_FIRST: Final = "The client has to push its authorization request first."
REDIRECT_URI_REFUSED: Final = "The redirect_uri is missing or not registered for the client."
PUSH_NESTED: Final = "A pushed request cannot refer to another request."
PUSHED_TOO_OFTEN: Final = "Too many requests were pushed; wait before pushing another one."
PUSH_GONE: Final = N_("The request of the application is unknown, expired or used already.")
ENCRYPTION_KEY: Final = "The client's key set has no key to which the answer can be encrypted."
UNANSWERABLE: Final = N_("The application wants its answer encrypted, and no key of it was found for that.")
UNKNOWN_MODE: Final = N_("The application wants its answer in a way that this server no longer supports.")
TWO_REQUESTS: Final = N_("The application sent its signed request in more than one way.")
REQUEST_OBJECT_INVALID: Final = N_("The signed request of the application is not valid.")
REQUEST_URI_INVALID: Final = N_("The signed request of the application could not be fetched from where it should be.")
SIGN_FIRST: Final = "The client has to sign its authorization request."
PROOF_MISSING: Final = "The client is registered to send a DPoP proof with every token request."
PROOF_INVALID: Final = "The DPoP proof is missing, malformed, used before or not made for this request."
TOO_MANY_PROOFS: Final = "Too many DPoP proofs; wait before sending another one."
KEY_DIFFERS: Final = "The grant is bound to a key that was not proven."
DPOP_JKT: Final = "The dpop_jkt is not the thumbprint of a key, or of another key than the DPoP proof."
TOKEN_UNPROVEN: Final = "The access token is bound to a key that was not proven, or to none."
CERTIFICATE_UNREADABLE: Final = "The client certificate was handed on in a form that cannot be read."
CERTIFICATE_MISSING: Final = "The client is registered for tokens bound to its certificate, and has shown none."
CERTIFICATE_DIFFERS: Final = "The refresh token is bound to another client certificate."
BINDING_IMPOSSIBLE: Final = "A token from the authorization endpoint cannot be bound to a key."
BINDING_MISSING: Final = "The client is registered for tokens that are bound to a key, and has proven none."
INITIAL_TOKEN: Final = "The initial access token is missing, unknown, expired or used up."
REGISTERED_TOO_OFTEN: Final = "Too many clients were registered from this address; wait before registering another one."
CHANGED_TOO_OFTEN: Final = "The registration was changed too often; wait before changing it again."
CHANGED_AT_ONCE: Final = "The registration is being changed by another request; try again."
REGISTRATION_TOKEN: Final = "The registration access token is missing, or is not the one of this client."
STATEMENT_MISSING: Final = "A software statement is needed to register a client."
STATEMENT_INVALID: Final = "The software statement is not valid."
STATEMENT_UNAPPROVED: Final = "The issuer of the software statement is not trusted here."
GRANT_TYPES_CLOSED: Final = "None of the grant_types can be registered by a client itself."
RESPONSE_TYPES_CLOSED: Final = "None of the response_types is supported."
SCOPE_CLOSED: Final = "None of the scope can be registered by a client itself."
REDIRECT_CLOSED: Final = "A URI of this kind or host cannot be registered by a client itself."
CLIENT_ID_DIFFERS: Final = "The client_id has to be repeated and cannot be changed."
SECRET_DIFFERS: Final = "A client_secret that is sent has to be the one of the client."
OURS_ALONE: Final = "A member that only the server writes was sent back to it."
DOCUMENT_UNUSABLE: Final = N_("The application that sent you here describes itself in a document that cannot be used.")
REQUEST_OBJECT: Final = "The request parameter is not supported."
REQUEST_URI: Final = "The request_uri parameter is not supported."
REGISTRATION: Final = "The registration parameter is not supported."
CLAIMS: Final = "The claims parameter is not valid."
ACR: Final = "The authentication that was asked for cannot be done here."
HINT: Final = "The id_token_hint is not an ID token that this server gave to the client."
