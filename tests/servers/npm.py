"""Packages of npm for the tests, as the lock in ``tests/clients/npm`` says, installed under ``var/npm`` once."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers.process import ServerUnavailableError

ROOT = Path(__file__).parents[2]
WANTED = ROOT / "tests" / "clients" / "npm"
INSTALLED = ROOT / "var" / "npm"
OLDEST_NODE = 20
_PATIENCE = 300  # seconds


class InstallationError(Exception):
    """Node is there, but the packages cannot be installed."""


def find_node() -> str:
    """Find Node.

    Raises:
        ServerUnavailableError: there is none, it is too old for the packages, or npm is missing.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise ServerUnavailableError("there is no Node with npm on PATH")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        raise ServerUnavailableError(f"this Node is older than {OLDEST_NODE}")
    return node


def node_modules() -> Path:
    """Return the folder of the installed packages; whoever comes first installs them.

    Raises:
        ServerUnavailableError: as in ``find_node``.
        InstallationError: npm failed.
    """
    find_node()
    lock = (WANTED / "package-lock.json").read_bytes()
    folder = INSTALLED / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.is_dir():
        INSTALLED.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=INSTALLED, prefix="fresh-") as fresh:
            _install(Path(fresh))
            # Whoever is second keeps what the first one has put there.
            if not folder.is_dir():
                (Path(fresh) / "whole").rename(folder)
    return folder / "node_modules"


def _install(fresh: Path) -> None:
    whole = fresh / "whole"
    whole.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WANTED / name, whole)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, "npm_config_cache": str(fresh / "cache"), "npm_config_update_notifier": "false"}
    try:
        done = subprocess.run(
            command, cwd=whole, env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise InstallationError("npm did not end in time") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InstallationError(f"npm ci failed: {' / '.join(lines[:3])}")
