"""Another command line, run as a child that ends with its parent: ``python -m authserver.cli.child``.

Arguments: module and function of the command line, the parent's process id, then what the command line is given.
"""

import importlib
import sys

from resourceserver.serving import lifeline


def main() -> None:
    """Tie this process to its parent, then be the command."""
    target, parent, *arguments = sys.argv[1:]
    lifeline.follow(int(parent))
    module, _, name = target.partition(":")
    sys.argv = [module.partition(".")[0], *arguments]
    getattr(importlib.import_module(module), name)()


if __name__ == "__main__":
    main()
