"""Writes generated pages of docs/. A generator is a module with ``pages()``: path below the root → text."""

import sys
from collections.abc import Callable, Mapping

from tools.sources import ROOT

Pages = Mapping[str, str]

NOTICE = "<!-- Written by `make docs`; edit the sources instead. -->"


def write(pages: Callable[[], Pages]) -> None:
    """Write the pages whose text has changed, and say which."""
    for where, text in pages().items():
        path = ROOT / where
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {where}\n")
