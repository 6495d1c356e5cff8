"""Readers of prose in Markdown, Python and templates, which split it into sentences."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

MIN_MESSAGE_WORDS = 4
SENTENCE_END = re.compile(
    r"(?<=[.!?:])[\"”')*_]*\s+(?=[A-Z`\"“(*_\[])"
    r"|(?<=[.!?])\s+(?=\d)"
    r"|\n\s*\n"
    r"|\n\s*(?=[-*|#>] |\d+\. |\||\w+ {2,}\S)"
)
# Programs, style sheets and headers in string literals are not prose.
PROGRAM = re.compile(r"^\s*(import|from|def|class|#!|:root|default-src|port|MERGE INTO)\b", re.M)
FENCED_BLOCK = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.M | re.S)
INLINE_CODE = re.compile(r"(`+)[^`]+\1")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>|\{#.*?#\}|\{%.*?%\}", re.S)
EXPRESSION = re.compile(r"\{\{.*?\}\}", re.S)
DOCSTRING_HEADING = re.compile(r"^\s*(Raises|Returns|Args|Attributes|Yields|Examples?):\s*$", re.M)
DOCSTRING_ITEM = re.compile(r"^\s+\w+:\s", re.M)
DIRECTIVE = re.compile(r"(noqa|type:|pragma|fmt:|ruff:|mypy:|!|-\*-)")
MESSAGE_WORD = re.compile(r"(?<!\S)[A-Za-z’'-]+[a-z](?=[\s.,;:!?]|$)")


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Text:
    """A piece of prose, with the line on which it begins.

    may_be_phrase: a title, a label or a cell, which may begin with “What” or “How”.
    """

    line: int
    text: str
    may_be_phrase: bool = False


def split_sentences(text: Text) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a piece of prose, each with its line. Code counts as one word."""
    plain = INLINE_CODE.sub("Code", text.text)
    begin = 0
    for end, after in [*((m.start(), m.end()) for m in SENTENCE_END.finditer(plain)), (None, 0)]:
        sentence = " ".join(plain[begin:end].split()).strip("-*|#> ")
        if sentence:
            yield text.line + plain[:begin].count("\n"), sentence
        begin = after


def read_markdown(source: str) -> Iterator[Text]:
    """Yield paragraphs, titles and table cells. Code blocks are not prose."""
    plain = FENCED_BLOCK.sub(_keep_lines, source)
    plain = LINK.sub(r"\1", TAG.sub(_keep_lines, plain))
    line = 1
    for block in re.split(r"(\n\s*\n)", plain):
        if block.lstrip().startswith("|"):
            for row, cells in enumerate(block.lstrip().splitlines()):
                yield from (Text(line + row, cell, may_be_phrase=True) for cell in cells.split("|"))
        elif block.strip() and not block.startswith(("    ", "---")):
            yield Text(line, block, may_be_phrase=block.startswith("#"))
        line += block.count("\n")


def read_template(source: str) -> Iterator[Text]:
    """Yield the visible texts of a template."""
    plain = TAG.sub(lambda tag: "\0" + _keep_lines(tag), EXPRESSION.sub("Code", source))
    line = 1
    for part in plain.split("\0"):
        if part.strip():
            yield Text(line, part, may_be_phrase=True)
        line += part.count("\n")


def read_tests(source: str) -> Iterator[Text]:
    """Yield docstrings and comments. Literals in tests are mostly data."""
    yield from _docstrings(ast.parse(source))
    yield from _comments(source)


def read_python(source: str) -> Iterator[Text]:
    """Yield docstrings, comments, and string literals that are messages."""
    tree = ast.parse(source)
    yield from _docstrings(tree)
    yield from _messages(tree)
    yield from _comments(source)


def _docstrings(tree: ast.Module) -> Iterator[Text]:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
            text = DOCSTRING_ITEM.sub("\n\n", DOCSTRING_HEADING.sub("", docstring))
            yield Text(node.body[0].lineno, text)


def _keep_lines(found: re.Match[str]) -> str:
    """Replace removed text by as many empty lines, so that findings name the correct line."""
    return "\n" * found[0].count("\n")


def _messages(tree: ast.Module) -> Iterator[Text]:
    skipped = {
        id(part)
        for node in ast.walk(tree)
        for part in (node.values if isinstance(node, ast.JoinedStr) else _first_value(node))
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in skipped:
            continue
        text = _literal(node)
        if PROGRAM.search(text) or len(MESSAGE_WORD.findall(text)) < MIN_MESSAGE_WORDS:
            continue
        yield Text(node.lineno, text)


def _first_value(node: ast.AST) -> list[ast.expr]:
    """Return the value of a docstring, if the node has one."""
    first = node.body[0] if isinstance(node, DOCUMENTED) and node.body else None
    return [first.value] if isinstance(first, ast.Expr) else []


def _literal(node: ast.Constant | ast.JoinedStr) -> str:
    """Return the text of a string literal, with its expressions as one word each."""
    if isinstance(node, ast.JoinedStr):
        values = [part.value if isinstance(part, ast.Constant) else "Code" for part in node.values]
        return "".join(map(str, values))
    return node.value if isinstance(node.value, str) else ""


def _comments(source: str) -> Iterator[Text]:
    """Yield comments. Lines that follow one another at the same indentation are one comment."""
    lines: list[str] = []
    begin, last = 0, (-1, -1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#").strip()
        if token.type != tokenize.COMMENT or DIRECTIVE.match(text):
            continue
        if token.start != (last[0] + 1, last[1]):
            if lines:
                yield Text(begin, "\n".join(lines), may_be_phrase=True)
            begin, lines = token.start[0], []
        lines.append(text)
        last = token.start
    if lines:
        yield Text(begin, "\n".join(lines), may_be_phrase=True)
