"""The account pages: what a person sees and decides about their own account."""

from flask import Blueprint

blueprint = Blueprint("account", __name__, url_prefix="/account")

from authserver.web.account import apps, profile, security, sessions  # noqa: E402 - they add their views to the blueprint

__all__ = ["apps", "blueprint", "profile", "security", "sessions"]
