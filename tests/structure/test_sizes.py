"""A file fits in the head, a function on a screen."""

import ast

from tools.sources import sources

FILE_LINES = 400
FUNCTION_LINES = 60
VIEW_LINES = 40
# A schema change is one list, read once from top to bottom; it is never changed again.
MIGRATIONS = "migrations/versions/"
ROUTES = {"route", "get", "post", "put", "patch", "delete"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _is_view(function: Function) -> bool:
    return any(
        isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in ROUTES
        for decorator in function.decorator_list
    )


def _longer(limit: int, *, views: bool) -> list[str]:
    return [
        f"{source.where}:{function.lineno} {function.name} ({_lines(function)})"
        for source in sources()
        if not source.where.startswith(MIGRATIONS)
        for function in source.functions()
        if _lines(function) > limit and (_is_view(function) or not views)
    ]


def test_files_are_short() -> None:
    assert [source.where for source in sources() if source.text.count("\n") > FILE_LINES] == []


def test_functions_are_short() -> None:
    assert _longer(FUNCTION_LINES, views=False) == []


def test_views_are_shorter_still() -> None:
    assert _longer(VIEW_LINES, views=True) == []


def test_nothing_is_left_as_a_stub() -> None:
    stubs = [
        f"{source.where}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
    ]
    assert stubs == []
