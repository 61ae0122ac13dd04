"""A backend for a browser's front end: the browser holds a session cookie, tokens stay on the server.

`create_bff` makes a Flask blueprint for an application of your own; `create_app` makes the stand-alone server.
"""

from bff.app import create_app, create_bff
from bff.backend import Backend
from bff.settings import Api, BffSettings, SettingsError, load_settings

__all__ = ["Api", "Backend", "BffSettings", "SettingsError", "create_app", "create_bff", "load_settings"]
