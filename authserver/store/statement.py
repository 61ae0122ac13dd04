"""A Core statement, compiled once and run on the driver's own cursor.

What SQLAlchemy does for each execution (look up the compiled form, convert values both ways, wrap the result) costs
more than the database itself. So a statement is written as Core, compiled once for its dialect, and refused when it
would need a conversion: the columns hold only what both drivers take and give as Python's own.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from sqlalchemy import BigInteger, LargeBinary, Text, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.types import NullType, TypeEngine

R = TypeVar("R")
Row = tuple[Any, ...]


class Cursor(Protocol):
    """What both drivers' cursors have in common."""

    rowcount: int

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


def number(name: str) -> BindParameter[int]:
    """Return a named argument of a statement: an integer."""
    return bindparam(name, type_=BigInteger)


def text(name: str) -> BindParameter[str]:
    """Return a named argument of a statement: text."""
    return bindparam(name, type_=Text)


def octets(name: str) -> BindParameter[bytes]:
    """Return a named argument of a statement: bytes."""
    return bindparam(name, type_=LargeBinary)


NOW = number("now")


def as_is(row: Row) -> Row:
    """Return the row itself: the record of statements that need none."""
    return row


class Statement(Generic[R]):
    """A statement of one dialect: ``sql``, ``bind`` (names to the driver's tuple) and ``make`` (row to record)."""

    __slots__ = ("bind", "core", "make", "returns", "sql")

    def __init__(
        self, core: Executable, dialect: Dialect, make: Callable[[Any], R], keys: Sequence[str] | None = None
    ) -> None:
        """Compile ``core``; ``keys`` names the columns of an INSERT; raises TypeError for what needs a conversion."""
        compiled = cast(SQLCompiler, cast(Any, core).compile(dialect=dialect, column_keys=keys))
        columns = list(getattr(core, "exported_columns", ()))
        for bound in compiled.binds.values():
            _refuse_conversion(bound, dialect)
        for column in columns:
            if _converts(column.type, dialect.type_descriptor(column.type).result_processor(dialect, None)):
                raise TypeError(f"column {column.key} needs a conversion: {column.type!r}")
        fields = getattr(getattr(make, "__self__", None), "_fields", None)
        if fields is not None and [column.key for column in columns] != list(fields):
            raise TypeError(f"columns are not the fields of the record: {fields}")
        self.core = core
        self.sql = str(compiled)
        self.bind = _binder(compiled)
        self.make = make
        self.returns = bool(columns)


def _refuse_conversion(bound: BindParameter[Any], dialect: Dialect) -> None:
    """Raise TypeError when an argument is not handed to the driver as it is."""
    if bound.expanding or bound.literal_execute:
        raise TypeError(f"{bound.key} is written into the statement at each execution")
    if isinstance(bound.type, NullType):
        raise TypeError(f"{bound.key} has no type")
    if _converts(bound.type, dialect.type_descriptor(bound.type).bind_processor(dialect)):
        raise TypeError(f"{bound.key} needs a conversion: {bound.type!r}")


def _converts(kind: TypeEngine[Any], processor: object) -> bool:
    # Both drivers take and give bytes for LargeBinary; SQLAlchemy's processors for it serve older drivers.
    return processor is not None and not isinstance(kind, LargeBinary)


def _binder(compiled: SQLCompiler) -> Callable[..., Row]:
    """Write the function from named arguments to the driver's tuple; a missing or unknown name is a TypeError."""
    names: dict[str, None] = {}
    constants: dict[str, Any] = {}
    places = []
    for place, name in enumerate(compiled.positiontup or ()):
        if compiled.binds[name].required:
            names[name] = None
            places.append(name)
        else:
            constants[f"constant_{place}"] = compiled.params[name]
            places.append(f"constant_{place}")
    head = f"*, {', '.join(names)}" if names else ""
    source = f"lambda {head}: ({''.join(place + ', ' for place in places)})"
    return cast(Callable[..., Row], eval(source, constants))  # noqa: S307 - made of the names in our own statements
