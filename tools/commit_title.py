"""Refuse a commit whose title is not ``type(scope): what it does`` (a commit-msg hook)."""

import re
import sys
from pathlib import Path

TITLE = re.compile(r"(build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test)(\([a-z0-9_/-]+\))?!?: \S.{2,}")


def main() -> int:
    """Read the message file that git names and answer 1 when its title does not fit."""
    title = Path(sys.argv[1]).read_text(encoding="utf-8").partition("\n")[0]
    if TITLE.fullmatch(title) or title.startswith(("Merge ", "Revert ", "fixup! ", "squash! ")):
        return 0
    sys.stderr.write(f"commit title {title!r} is not of the form 'type(scope): what it does'\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
