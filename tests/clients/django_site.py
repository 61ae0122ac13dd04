"""A Django project out of the files of docs/django.md, and a process that serves it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_authserver import AuthServer, RegisteredClient
from tests import documented

PAGE = "django.md"
SETTINGS, SIGN_IN, URLS = documented.blocks(PAGE, "python")
(HOME,) = documented.blocks(PAGE, "html")

# What the documentation expects of a new project.
_STARTED = """
from pathlib import Path

SECRET_KEY = "a secret key for tests and nothing else, long enough for Django"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "album.urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent / "django.db"}}
INSTALLED_APPS = ["album", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth"]},
    }
]
"""
_SERVE = """
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

WSGIRequestHandler.log_message = lambda *_: None
application = get_wsgi_application()
call_command("migrate", verbosity=0)
with make_server("127.0.0.1", {port}, application) as served:
    print("serving", flush=True)
    served.serve_forever()
"""
_ASK = """
import os

import django
from django.core.exceptions import SuspiciousOperation

django.setup()
from album.sign_in import Backend

try:
    print(Backend().verify_token(os.environ["ID_TOKEN"])["aud"])
except SuspiciousOperation as error:
    print(error)
"""


class Site:
    """The project in a folder, as a client of the server."""

    def __init__(self, folder: Path, server: AuthServer, client: RegisteredClient, *more: str) -> None:
        self.folder = folder
        files = {
            "__init__.py": "",
            "settings.py": "\n".join((_STARTED, SETTINGS, *more)),
            "sign_in.py": SIGN_IN,
            "urls.py": URLS,
            "templates/album/home.html": HOME,
        }
        for name, content in files.items():
            path = folder / "album" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.environment = {
            "ISSUER": server.issuer,
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
            "DJANGO_SETTINGS_MODULE": "album.settings",
            "PYTHONPATH": str(folder),
            "NO_PROXY": "*",
        }

    @contextmanager
    def serving(self, port: int) -> Iterator[str]:
        """Serve it; yield its address."""
        with documented.running_python(_SERVE.format(port=port), **self.environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield f"http://127.0.0.1:{port}"

    def told_of(self, id_token: str) -> str:
        """Return what the sign-in says of an ID token: whose it is, or what is wrong."""
        return documented.run_python(_ASK, **self.environment, ID_TOKEN=id_token)
