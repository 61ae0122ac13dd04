"""Entry point for any WSGI server: ``gunicorn authserver.wsgi:application``. ``authserver serve`` brings its own.

Settings are read and everything that keeps the deployment from serving is checked when the module is imported, so that
a server that must not start does not.
"""

from flask import Flask

from authserver.app import create_app
from authserver.manage.errors import ManageError
from authserver.manage.overview import obstacles
from authserver.settings import Settings, load_settings
from authserver.store import open_store


def make_application(settings: Settings) -> Flask:
    """Check the deployment and build the application; raises SettingsError, StoreError, KeyRingError or ManageError."""
    store = open_store(settings)
    found = obstacles(store, settings)
    if found:
        store.close()
        raise ManageError("\n".join(found))
    return create_app(settings, store)


def __getattr__(name: str) -> Flask:
    """Build the application when a server asks for it."""
    if name != "application":
        raise AttributeError(name)
    application = globals()["application"] = make_application(load_settings())
    return application
