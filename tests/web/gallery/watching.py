"""Which branches of the templates, and which refusals in the source, somebody has met on the way to the pages."""

import ast
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from flask import Flask, template_rendered
from jinja2 import nodes
from jinja2.compiler import CodeGenerator

import authserver
from authserver.oauth.errors import NotRedirectable
from authserver.oidc.end_session import InvalidLogout
from authserver.web import errors
from tests.web.gallery.world import replaced

ROOT = Path(authserver.__file__).parent
TEMPLATES = ROOT / "web" / "templates"
_MET = "met_by_the_gallery"


class Site(NamedTuple):
    """A place in the source that refuses somebody with a page."""

    where: str
    line: int

    def __str__(self) -> str:
        return f"{self.where}:{self.line}"


class Watch:
    """What there is to meet, and what was met; pass it to a gallery."""

    def __init__(self) -> None:
        self.branches: set[str] = set()
        self.met: set[str] = set()
        self.refusals: list[tuple[Site, str]] = []
        """Places with the sentence for the person, in the order in which they were met."""
        self._renderers: list[Any] = []

    def __call__(self, app: Flask) -> None:
        """Watch the templates of an application."""
        app.jinja_env.globals[_MET] = self._meet
        app.jinja_env.code_generator_class = type("Marking", (_Marking,), {"known": self.branches})
        for name in app.jinja_env.list_templates(extensions=["html"]):
            app.jinja_env.get_template(name)

    @contextmanager
    def watching_refusals(self) -> Iterator[None]:
        """Note inside who makes an error page, and who raises what becomes one."""
        with ExitStack() as stack:
            stack.enter_context(template_rendered.connected_to(self._rendered))
            stack.enter_context(replaced(NotRedirectable, "__init__", self._noting(NotRedirectable.__init__, 1)))
            stack.enter_context(replaced(InvalidLogout, "__init__", self._noting(InvalidLogout.__init__, 0)))
            yield

    def _meet(self, branch: str, value: Any = "") -> Any:
        self.met.add(branch)
        return value

    def _noting(self, make: Any, sentence: int) -> Any:
        def noting(made: Exception, *words: str) -> None:
            self.refusals.append((_site(sys._getframe(1)), words[sentence]))
            make(made, *words)

        return noting

    def _rendered(self, _: Flask, *, context: dict[str, Any], **__: Any) -> None:
        frame = _frame_of(errors.error_page.__code__)
        if frame is not None and frame.f_back is not None:
            self.refusals.append((_site(frame.f_back), str(context["sentence"])))


def refusing_sites() -> Iterator[tuple[Site, range]]:
    """Go through the places of the source that make an error page, or raise what becomes one, with their lines."""
    makers = {errors.error_page.__name__, NotRedirectable.__name__, InvalidLogout.__name__}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in makers:
                where = path.relative_to(ROOT).as_posix()
                yield Site(where, node.lineno), range(node.lineno, (node.end_lineno or node.lineno) + 1)


class _Marking(CodeGenerator):
    """Compiles templates that tell which branches they take."""

    known: set[str]

    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:  # noqa: N802 - as jinja2 calls it
        branches: list[Any] = [*node.find_all((nodes.If, nodes.For, nodes.CondExpr))]
        further = {id(other) for each in branches if isinstance(each, nodes.If) for other in each.elif_}
        for number, each in enumerate(branches):
            place = f"{self.name}:{each.lineno} ({number})"
            if isinstance(each, nodes.CondExpr):
                each.expr1 = self._met(f"{place} either", each.expr1)
                each.expr2 = self._met(f"{place} or", each.expr2 or nodes.Const(""))
                continue
            each.body.insert(0, nodes.ExprStmt(self._met(f"{place} taken")))
            if each.else_ or (isinstance(each, nodes.If) and id(each) not in further):
                each.else_.insert(0, nodes.ExprStmt(self._met(f"{place} not taken")))
        node.set_environment(self.environment)
        super().visit_Template(node, frame)

    def _met(self, branch: str, value: nodes.Expr | None = None) -> nodes.Call:
        self.known.add(branch)
        said: list[nodes.Expr] = [nodes.Const(branch), *([value] if value is not None else [])]
        return nodes.Call(nodes.Name(_MET, "load"), said, [], None, None)


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _site(frame: FrameType) -> Site:
    path = Path(frame.f_code.co_filename)
    where = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return Site(where, frame.f_lineno)


def _frame_of(code: CodeType) -> FrameType | None:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame
