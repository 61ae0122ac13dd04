"""What a store verb may raise. The messages never hold a stored or a given value."""


class StoreError(Exception):
    """The store could not do what was asked."""


class Conflict(StoreError):
    """Something with this identity is there already; ``name`` says which column or constraint refused it."""

    def __init__(self, name: str = "") -> None:
        super().__init__(f"already there: {name}" if name else "already there")
        self.name = name


class BadValue(StoreError):
    """A value that the database cannot hold: a NUL character, half a surrogate pair, a number beyond 64 bits."""


class Busy(StoreError):
    """A lock or a connection was not free in time, or transactions collided again and again; try a second later."""


class Unavailable(StoreError):
    """The database or Redis is away, or went away in the middle: what was asked may or may not have been done."""


class Undone(Busy):
    """The database did nothing and the same may be tried again at once; only the store itself sees this."""


class Stale(Undone):
    """The connection remembers a schema that is no more; only the store itself sees this."""


class Lost(Unavailable):
    """The connection was lost; a read may be repeated on a new one; only the store itself sees this."""
