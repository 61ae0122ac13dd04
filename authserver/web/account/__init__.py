"""The account pages: what a person sees and decides about their own account."""

from authserver.web.account import apps, profile, requests, second_factor, security, sessions
from authserver.web.account.visitor import blueprint

__all__ = ["apps", "blueprint", "profile", "requests", "second_factor", "security", "sessions"]
