"""Writes docs/errors.md: every error code with its fixed sentences, as the source raises them."""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import NamedTuple

from authserver.api import errors as management
from authserver.oauth import errors
from authserver.oauth.error_codes import Refusal
from authserver.web.errors import BY_STATUS
from tools.pages import NOTICE, Pages, write
from tools.sources import Source, shipped

PAGE = "docs/errors.md"
HEAD = f"""{NOTICE}

# Errors

An error is told where it can be mended: to the person on a page, to the application in its answer. Its sentence is
fixed and repeats nothing of the request. The log has more; `X-Request-ID` of the answer says where.
"""
ON_PAGES = """## On pages

What a person sees when the application must not be answered, or when it is no application's affair. The code stands at
the end of the page, in the element with the id `error-code`, and is the same in every language.

| code | status | what happened | what to do |
|---|---|---|---|
"""
IN_ANSWERS = """## In answers to applications

`error` and `error_description`, in JSON or in an authorization response; in English, for whoever develops the
application. Every endpoint may also answer `server_error` (500) and `temporarily_unavailable` (503, with
`Retry-After`): that is the server's own affair, whatever the request was.

| code | what it is | descriptions |
|---|---|---|
"""
UNBOUND = """## Further descriptions

These come with the code that the endpoint has for them.

"""


class Shown(NamedTuple):
    """An error page."""

    code: str
    status: int
    sentence: str
    hint: str


def shown() -> list[Shown]:
    """List the error pages by their codes."""
    found = {Shown(words.code, status, words.sentence, words.hint) for status, words in BY_STATUS.items()}
    for source, module in _modules():
        for call in _calls(source, {"error_page", "NotRedirectable"}):
            # Codes and sentences that were made elsewhere are found there.
            if len(call.args) >= 3 and (codes := _texts(module, call.args[0])):
                status = ast.literal_eval(call.args[3]) if len(call.args) > 3 else 400
                hint = _texts(module, call.args[2])[0]
                for sentence in _texts(module, call.args[1]) or _sentences_of(codes[0]):
                    found.add(Shown(codes[0], status, sentence, hint))
    return sorted(found)


def answered() -> dict[str, tuple[str, list[str]]]:
    """Return what each code is, and its descriptions."""
    meanings: dict[str, set[str]] = defaultdict(set)
    texts: dict[str, set[str]] = defaultdict(set)
    # Classes of the same name in two modules are the same code.
    codes: dict[str, str] = {}
    for kind in _below(Refusal):
        if kind.error:
            codes[kind.__name__] = str(kind.error)
            meanings[str(kind.error)].add(" ".join((kind.__doc__ or "").split()))
    for source, module in _modules():
        for call in _calls(source, codes):
            found = [text for argument in call.args[:1] for text in _texts(module, argument)]
            texts[codes[_name(call.func)]].update(text for text in found if _is_sentence(text))
    return {code: (" ".join(sorted(meanings[code])), sorted(texts[code])) for code in sorted(meanings)}


def unbound() -> list[str]:
    """List the descriptions whose code is chosen elsewhere than they are."""
    told = {text for _, texts in answered().values() for text in texts}
    told |= {text for page in shown() for text in (page.sentence, page.hint)}
    ours = [*vars(errors).values(), *vars(management).values()]
    return sorted({text for text in ours if _is_sentence(text)} - told)


def pages() -> Pages:
    """Write the page that is to be stored."""
    first = "".join(f"| `{page.code}` | {page.status} | {page.sentence} | {page.hint} |\n" for page in shown())
    second = "".join(
        f"| `{code}` | {meaning} | {'<br>'.join(texts)} |\n" for code, (meaning, texts) in answered().items()
    )
    third = "".join(f"- {text}\n" for text in unbound())
    return {PAGE: "\n".join([HEAD, ON_PAGES + first, IN_ANSWERS + second, UNBOUND + third])}


def _sentences_of(code: str) -> list[str]:
    """Return the sentences of a page that shows what was raised."""
    if code != "invalid_logout":
        return [f"As one of the descriptions of `{code}` says."]
    raised = [(module, call) for source, module in _modules() for call in _calls(source, {"InvalidLogout"})]
    return [text for module, call in raised for text in _texts(module, call.args[0])]


def _texts(module: ModuleType, argument: ast.expr) -> list[str]:
    """Return the texts that an argument may be: literals, and constants by their names."""
    values: list[object] = []
    for node in ast.walk(argument):
        if isinstance(node, ast.Constant):
            values.append(node.value)
        elif isinstance(node, ast.Name):
            values.append(getattr(module, node.id, None))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            values.append(getattr(getattr(module, node.value.id, None), node.attr, None))
    return [value for value in values if isinstance(value, str)]


def _is_sentence(text: object) -> bool:
    return isinstance(text, str) and text[:1].isupper() and text.endswith(".") and "\n" not in text


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _modules() -> Iterator[tuple[Source, ModuleType]]:
    for source in shipped():
        if source.name.startswith("authserver.") and not source.name.endswith("__main__"):
            yield source, importlib.import_module(source.name)


def _calls(source: Source, names: Iterable[str]) -> Iterator[ast.Call]:
    wanted = set(names)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _name(node.func) in wanted:
            yield node


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


if __name__ == "__main__":
    write(pages)
