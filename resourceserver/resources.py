"""The API of the separate resource server: private notes, and a public almanac behind a scope.

Two protected resources, on purpose of two kinds: tokens for the notes are looked up at the issuer (RFC 7662), and for
writes at every request; tokens for the almanac are JWTs checked with the issuer's published keys (RFC 9068).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from resourceserver.access_token import AccessToken
from resourceserver.almanac import page
from resourceserver.decryption import Decryption
from resourceserver.metadata import metadata_document
from resourceserver.notes import Note, NoteStore, Owner, TooManyNotesError
from resourceserver.protect import protect
from resourceserver.strict_json import parse_object
from resourceserver.verifier import Verifier

MAX_TEXT = 2000
STRONG = ("urn:authserver:mfa",)
STRONG_SECONDS = 300
FIRST_YEAR, LAST_YEAR = 1900, 2100

# What is public by nature.
_PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NOTE_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_CHECKED_BY = {"introspection": "introspection", "keys": "published keys"}


def notes_api(verifier: Verifier, store: NoteStore) -> Blueprint:
    """Return the routes of the notes: list, write, remove; each caller sees only what is the caller's own."""
    api = Blueprint("notes", __name__)

    @api.get("/notes")
    @protect(verifier, scopes=("notes:read",))
    def list_notes(token: AccessToken) -> ResponseReturnValue:
        return jsonify(notes=[_note(note) for note in store.of_owner(_owner(token))], token=describe(token))

    # The issuer is asked at each write: a revoked token must not change anything for even a second.
    @api.post("/notes")
    @protect(verifier, scopes=("notes:write",), fresh=True)
    def write_note(token: AccessToken) -> ResponseReturnValue:
        try:
            note = store.add(_owner(token), _text_of_body())
        except TooManyNotesError:
            abort(409, "No more notes can be kept")
        return jsonify(note=_note(note), token=describe(token)), 201

    # What cannot be undone wants two factors, proven a moment ago (RFC 9470).
    @api.delete("/notes")
    @protect(verifier, scopes=("notes:write",), acr=STRONG, max_age=STRONG_SECONDS, fresh=True)
    def remove_all_notes(token: AccessToken) -> ResponseReturnValue:
        return jsonify(removed=store.remove_all(_owner(token)), token=describe(token))

    @api.delete("/notes/<note_id>")
    @protect(verifier, scopes=("notes:write",), fresh=True)
    def remove_note(token: AccessToken, note_id: str) -> ResponseReturnValue:
        # Somebody else's note and no note are one answer: ids are not to be probed.
        if not _NOTE_ID.fullmatch(note_id) or not store.remove(_owner(token), note_id):
            abort(404)
        return jsonify(removed=note_id, token=describe(token))

    return api


def almanac_api(verifier: Verifier, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Blueprint:
    """Return the route of the almanac: today, or the day asked for by `?date=YYYY-MM-DD`."""
    api = Blueprint("almanac", __name__)

    @api.get("/almanac")
    @protect(verifier, scopes=("almanac:read",))
    def almanac(token: AccessToken) -> ResponseReturnValue:
        return jsonify(almanac=asdict(page(_moment(now))), token=describe(token))

    return api


def metadata_api(
    verifier: Verifier, scopes: tuple[str, ...], name: str, path: str, more: Mapping[str, object]
) -> Blueprint:
    """Return the route of one resource's metadata document (RFC 9728 section 3) at `path`."""
    api = Blueprint(f"{name.lower()}-metadata", __name__)
    document = metadata_document(verifier.audience, verifier.issuer, scopes, name, verifier.binding(), more)

    @api.get(path)
    def metadata() -> ResponseReturnValue:
        # A browser application needs it to find the issuer.
        return Response(document, headers=_PUBLIC, mimetype="application/json")

    return api


def keys_api(decryption: Decryption, path: str) -> Blueprint:
    """Return the route of the public keys to which tokens are encrypted (RFC 9728 section 2) at `path`."""
    api = Blueprint("keys", __name__)

    @api.get(path)
    def keys() -> ResponseReturnValue:
        return jsonify(decryption.public_set()), _PUBLIC

    return api


def describe(token: AccessToken) -> dict[str, object]:
    """Return what may be shown about a token: who vouched for it and what it allows, never the token."""
    return {
        "checked_by": _CHECKED_BY[token.checked_by],
        "format": token.format,
        "issuer": token.issuer,
        "client_id": token.client_id,
        "scope": " ".join(sorted(token.scope)),
        "expires_at": token.expires_at,
    }


def _owner(token: AccessToken) -> Owner:
    # RFC 9700 4.15: a client may have chosen an id that equals a user's sub, so the two never share a name.
    kind = "client" if token.is_client_itself else "user"
    return Owner(token.issuer, f"{kind}:{token.subject}")


def _note(note: Note) -> dict[str, object]:
    created_at = datetime.fromtimestamp(note.created_at / 1_000_000, UTC).isoformat(timespec="seconds")
    return {"id": note.id, "text": note.text, "created_at": created_at.replace("+00:00", "Z")}


def _text_of_body() -> str:
    if request.mimetype != "application/json":
        abort(415, "Send application/json")
    try:
        body = parse_object(request.get_data())
    except ValueError:
        abort(400, "The body is not a JSON object")
    text = body.get("text")
    if body.keys() != {"text"} or not isinstance(text, str):
        abort(400, "The body has exactly one member, text, a string")
    if not 0 < len(text) <= MAX_TEXT or not text.strip() or "\0" in text:
        abort(400, f"A text has 1 to {MAX_TEXT} characters")
    return text


def _moment(now: Callable[[], datetime]) -> datetime:
    asked = request.args.getlist("date")
    if not asked:
        return now()
    if len(asked) > 1 or not _DATE.fullmatch(asked[0]):
        abort(400, "date is one day, as YYYY-MM-DD")
    try:
        day = date.fromisoformat(asked[0])
    except ValueError:
        abort(400, "date is no day of the calendar")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        abort(400, f"date is between {FIRST_YEAR} and {LAST_YEAR}")
    return datetime.combine(day, time(12), UTC)
