"""The demonstration: its three addresses, its files and its rows; made when missing, and made to follow the ports."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from authserver.cli.failure import Failure, WrongSettings

if TYPE_CHECKING:
    from authserver.cli.deployment import Deployment

USER: Final = "alice"
PASSWORD: Final = "correct horse battery staple"
PORTS: Final = {"AUTHSERVER_PORT": 9000, "RESOURCESERVER_PORT": 9001, "BFF_PORT": 9002}
_CLAIMS: Final = {"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "email_verified": True}
# What a child needs of the machine; the rest of the environment is none of its business.
_MACHINE: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
)
_OURS: Final = (
    "SECRET",
    "DATABASE_URL",
    "REDIS_URL",
    "CONFIG",
    "NODES",
    "TRUSTED_PROXIES",
    "DEVELOPMENT",
    "SERVICE_",
    "_TCP",
)
_ACTOR: Final = "demo"


@dataclass(frozen=True)
class Demonstration:
    """Where everything is."""

    folder: Path
    authserver: int
    resourceserver: int
    bff: int

    @property
    def issuer(self) -> str:
        """The authorization server."""
        return f"http://localhost:{self.authserver}"

    @property
    def api(self) -> str:
        """The resource server."""
        return f"http://localhost:{self.resourceserver}"

    @property
    def web(self) -> str:
        """The web application, which its BFF serves."""
        return f"http://localhost:{self.bff}"

    def secret(self, name: str) -> Path:
        """Return the file of a secret, which is made when it is missing; only its owner may read it."""
        path = self.folder / name
        if not path.exists():
            # Made under another name first: a file that is there is whole.
            fresh = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(36) + "\n")
            fresh.rename(path)
        return path

    def database(self, name: str) -> str:
        """Return the URL of a database in the folder."""
        return f"sqlite:///{(self.folder / name).absolute()}"


def prepare(environ: Mapping[str, str]) -> Demonstration:
    """Read the ports and make the folder; raises Failure."""
    ports = [_port(environ, name, default) for name, default in PORTS.items()]
    if len(set(ports)) != len(ports):
        raise WrongSettings(f"{', '.join(PORTS)} must differ")
    folder = Path("var/demo")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if (folder / "authserver.db").exists() and not (folder / "secret-key").exists():
        raise Failure(f"{folder / 'secret-key'} is gone, and the database cannot be opened without it: remove {folder}")
    return Demonstration(folder, *ports)


def lock(demo: Demonstration) -> IO[str]:
    """Keep a second demonstration out of the folder until the file is closed; raises Failure."""
    import fcntl

    file = (demo.folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Failure(f"another demonstration runs with the data in {demo.folder}: end it first") from None
    return file


def environments(demo: Demonstration, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the environment of each of the three: the machine's, the user's own settings, and what makes them fit."""
    ports = (demo.authserver, demo.resourceserver, demo.bff)
    names = "notes:read notes:write almanac:read"
    apis = [
        {
            "prefix": name,
            "target": f"{demo.api}/{name}",
            "resource": f"{demo.api}/{name}",
            "name": title,
            "checked_by": how,
        }
        for name, title, how in (("notes", "Notes", "introspection"), ("almanac", "Almanac", "keys"))
    ]
    return {
        "authserver": _environment(
            environ,
            "AUTHSERVER_",
            ISSUER=demo.issuer,
            HOST="localhost",
            PORT=str(demo.authserver),
            DATABASE_URL=demo.database("authserver.db"),
            SECRET_KEY_FILE=str(demo.secret("secret-key").absolute()),
            OUTBOUND_ALLOW=",".join(f"localhost:{port}" for port in ports),
            LOG_FORMAT=environ.get("AUTHSERVER_LOG_FORMAT") or "text",
        ),
        "resourceserver": _environment(
            environ,
            "RESOURCESERVER_",
            HOST="localhost",
            PORT=str(demo.resourceserver),
            PUBLIC_URL=demo.api,
            ISSUER=demo.issuer,
            DATABASE_URL=demo.database("resourceserver.db"),
            CLIENT_ID="notes-api",
            CLIENT_SECRET_FILE=str(demo.secret("notes-api-secret").absolute()),
        ),
        "bff": _environment(
            environ,
            "BFF_",
            HOST="localhost",
            PORT=str(demo.bff),
            PUBLIC_URL=demo.web,
            ISSUER=demo.issuer,
            DATABASE_URL=demo.database("bff.db"),
            CLIENT_ID="web",
            CLIENT_SECRET_FILE=str(demo.secret("web-secret").absolute()),
            SECRET_KEY_FILE=str(demo.secret("bff-secret-key").absolute()),
            SCOPE=f"openid profile email {names}",
            APIS=json.dumps(apis),
        ),
    }


def fill(demo: Demonstration, deployment: "Deployment") -> None:
    """Make the database what the demonstration needs: schema, keys, resources, clients and the account."""
    from authserver.manage import keys, users

    store = deployment.store
    if not store.is_current():
        store.upgrade()
    keys.ensure_first(store, deployment.sealer, deployment.settings, actor=_ACTOR)
    _resources(demo, deployment)
    for metadata in (_web(demo), _notes_api(demo)):
        _client(deployment, metadata)
    if store.users.by_login(USER) is None:
        alice = users.make_user(USER, email="alice@example.test", claims=_CLAIMS, demonstration=True)
        users.add(store, alice, users.hash_password(deployment.passwords, alice, PASSWORD), actor=_ACTOR)


def _resources(demo: Demonstration, deployment: "Deployment") -> None:
    from authserver.manage import resources

    notes = {"notes:read": "Read your notes", "notes:write": "Add and delete your notes"}
    almanac = {"almanac:read": "Read the almanac"}
    wanted: dict[str, dict[str, Any]] = {
        f"{demo.api}/notes": {"name": "Notes", "scopes": notes, "token_format": "opaque"},
        f"{demo.api}/almanac": {"name": "Almanac", "scopes": almanac, "token_format": "jwt", "status_list": True},
    }
    for known in deployment.store.resources.all():
        if known.demonstration and wanted.pop(known.identifier, None) is None:
            resources.remove(deployment.store, known.identifier, actor=_ACTOR)
    for identifier, rest in wanted.items():
        resources.add(deployment.store, {"identifier": identifier, **rest}, actor=_ACTOR, demonstration=True)


def _client(deployment: "Deployment", metadata: dict[str, Any]) -> None:
    """Register a client, or make it follow: new ports change its URIs, a new file its secret."""
    from authserver.app import client_members
    from authserver.crypto import client_secret_digest, same
    from authserver.manage import clients

    store, sealer = deployment.store, deployment.sealer
    known = store.clients.get(metadata["client_id"])
    if known is not None:
        digest = client_secret_digest(metadata["client_secret"])
        if any(kept.digest is not None and same(kept.digest, digest) for kept in known.secrets):
            changed = {name: value for name, value in metadata.items() if name not in {"client_id", "client_secret"}}
            if any(known.metadata.get(name) != value for name, value in changed.items()):
                clients.update(store, sealer, known.client_id, changed, actor=_ACTOR, members=client_members())
            return
        clients.remove(store, known.client_id, actor=_ACTOR)
    clients.register(store, sealer, metadata, actor=_ACTOR, members=client_members(), demonstration=True)


def _web(demo: Demonstration) -> dict[str, Any]:
    return {
        "client_id": "web",
        "client_secret": demo.secret("web-secret").read_text().strip(),
        "client_name": "Daybook",
        "redirect_uris": [f"{demo.web}/bff/callback"],
        "post_logout_redirect_uris": [f"{demo.web}/"],
        "backchannel_logout_uri": f"{demo.web}/bff/backchannel-logout",
        "backchannel_logout_session_required": True,
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access notes:read notes:write almanac:read",
        "resources": [f"{demo.api}/notes", f"{demo.api}/almanac"],
    }


def _notes_api(demo: Demonstration) -> dict[str, Any]:
    return {
        "client_id": "notes-api",
        "client_secret": demo.secret("notes-api-secret").read_text().strip(),
        "client_name": "Notes and Almanac",
        "grant_types": [],
        "resource_server_for": [f"{demo.api}/notes", f"{demo.api}/almanac"],
    }


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text or text.startswith(("tcp://", "udp://")):
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise WrongSettings(f"{name} must be a port: a number from 1 to 65535")
    return int(text)


def _environment(environ: Mapping[str, str], prefix: str, **settings: str) -> dict[str, str]:
    base = {name: environ[name] for name in _MACHINE if name in environ}
    base |= {name: value for name, value in environ.items() if name.startswith("COVERAGE_")}
    own = {
        name: value
        for name, value in environ.items()
        if name.startswith(prefix) and not any(word in name for word in _OURS)
    }
    return base | own | {prefix + name: value for name, value in settings.items()} | {"PYTHONUNBUFFERED": "1"}
