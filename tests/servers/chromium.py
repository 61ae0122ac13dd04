"""The Chromium of this machine under Playwright: nothing is downloaded, nothing leaves loopback."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.servers.process import ServerUnavailableError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
)


def find_chromium() -> Path:
    """Find the program: the environment's ``CHROMIUM``, or the first of its usual names on PATH.

    Raises:
        ServerUnavailableError: there is none.
    """
    for name in (os.environ.get("CHROMIUM", ""), *PROGRAMS):
        found = shutil.which(name) if name else None
        if found:
            return Path(found)
    raise ServerUnavailableError("there is no Chromium on PATH (name one with CHROMIUM=…)")


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run a headless Chromium with a home folder of its own.

    Raises:
        ServerUnavailableError: there is none.
    """
    program = find_chromium()
    with tempfile.TemporaryDirectory(prefix="authserver-chromium-", ignore_cleanup_errors=True) as home:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8", "TZ": "UTC"}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=program, headless=True, args=ARGUMENTS, env={**environment}
            )
            yield browser
            browser.close()
