"""Draws docs/import-graph.md: which room imports which, as the sources say it."""

from collections import defaultdict

from tools.pages import NOTICE, Pages, write
from tools.sources import SHIPPED, names, room, shipped

PAGE = "docs/import-graph.md"

Edges = dict[tuple[str, str], bool]
"""From, to → whether the import happens as the program loads (and not only for types or inside a function)."""


def room_edges() -> Edges:
    """Find the imports between rooms."""
    edges: Edges = defaultdict(bool)
    for source in shipped():
        for found in source.imports:
            if found.target in names() and room(found.target) != source.room:
                edges[source.room, room(found.target)] |= found.at_load
    return edges


def _node(name: str) -> str:
    # "end" and its kin are words of the drawing language; no room may become one.
    return f"room_{name}"


def draw(edges: Edges) -> str:
    """Write the edges as a mermaid flowchart; dotted where only types or functions import."""
    rooms = sorted({end for edge in edges for end in edge})
    inside = [name for name in rooms if name not in SHIPPED]
    lines = ["flowchart TD", "  subgraph authserver"]
    lines += [f"    {_node(name)}[{name}]" for name in inside]
    lines += ["  end"]
    lines += [f"  {_node(name)}[{name}]" for name in rooms if name in SHIPPED and name != "authserver"]
    if "authserver" in rooms:
        lines.append(f"  {_node('authserver')}[authserver/__init__]")
    for (origin, target), at_load in sorted(edges.items()):
        lines.append(f"  {_node(origin)} {'-->' if at_load else '-.->'} {_node(target)}")
    return "\n".join(lines)


def pages() -> Pages:
    """Write the page that is to be stored."""
    return {
        PAGE: f"""{NOTICE}

# Who imports whom

Each arrow is at least one import; a dotted one is needed only for types or inside a function. The rules are in
`tests/structure/test_layers.py`, the reasons in the page on architecture.

```mermaid
{draw(room_edges())}
```
"""
    }


if __name__ == "__main__":
    write(pages)
