"""The import graph has no circles, and its drawing is fresh."""

from graphlib import CycleError, TopologicalSorter

from tools.import_graph import room_edges
from tools.sources import names, shipped


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]
    return []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for source in shipped():
        targets = {found.target for found in source.imports if found.at_load and found.target in names()}
        graph[source.name] = targets - {source.name}
    assert _circle(graph) == []


def test_no_room_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for (origin, target), at_load in room_edges().items():
        if at_load:
            graph.setdefault(origin, set()).add(target)
    assert _circle(graph) == []


def test_a_circle_would_be_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})[0] in {"a", "b", "c"}
