"""For those who watch: is the process alive, can it serve, how many answers of which kind did it give."""

import os
from ipaddress import ip_address

from flask import Blueprint, Response, current_app, request

from authserver.store import StoreError
from authserver.web import metrics

blueprint = Blueprint("health", __name__)

_NO_STORE = {"Cache-Control": "no-store"}


@blueprint.get("/health/live")
def live() -> Response:
    """Say that the process answers; a restart would not make it better."""
    return _say("live", 200)


@blueprint.get("/health/ready")
def ready() -> Response:
    """Say whether the store can be reached; without it, requests belong elsewhere."""
    try:
        current_app.extensions["authserver"].store.ping()
    except StoreError:
        return _say("not ready", 503)
    return _say("ready", 200)


@blueprint.get("/metrics")
def counters() -> Response:
    """Answer the counters of this process in the Prometheus text format, to whoever is on this machine."""
    if not _is_local(request.environ.get("REMOTE_ADDR", "")) or "HTTP_X_FORWARDED_FOR" in request.environ:
        return _say("not found", 404)
    lines = [
        "# HELP authserver_answers_total Answers by endpoint and status.",
        "# TYPE authserver_answers_total counter",
    ]
    lines += [
        f'authserver_answers_total{{endpoint="{endpoint}",status="{status}",process="{os.getpid()}"}} {number}'
        for (endpoint, status), number in sorted(metrics.counts().items())
    ]
    return Response("\n".join([*lines, ""]), 200, _NO_STORE, content_type="text/plain; version=0.0.4; charset=utf-8")


def _say(word: str, status: int) -> Response:
    headers = _NO_STORE if status != 503 else {**_NO_STORE, "Retry-After": "5"}
    return Response(f'{{"status":"{word}"}}\n', status, headers, content_type="application/json")


def _is_local(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
