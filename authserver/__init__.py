"""authserver: an OAuth 2.1 authorization server and OpenID provider."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "create_app"]

if TYPE_CHECKING:
    from authserver.app import create_app


def __getattr__(name: str) -> Any:
    """Import the application only when it is asked for, so that the command line starts at once."""
    if name == "create_app":
        from authserver.app import create_app  # noqa: PLC0415 - see the docstring

        return create_app
    raise AttributeError(name)
