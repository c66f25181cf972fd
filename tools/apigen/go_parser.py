"""Reads the declarations of gofmt-formatted Go type packages: structs, named types, constants and their comments.

This is no Go compiler: function bodies are skipped, and only the constant expressions that API packages use are
evaluated (literals, names, concatenation, conversions).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class GoField:
    name: str  # "" when embedded
    type: str
    tag: dict
    comment: list  # comment lines without "//"


@dataclass
class GoType:
    name: str
    comment: list
    outer_comment: list  # the comment block before `comment`, where +genclient often stands
    fields: list = None  # of a struct
    underlying: str = ""  # of any other type
    is_alias: bool = False


@dataclass
class GoConst:
    name: str
    type: str
    expression: str
    comment: list
    value: object = None


@dataclass
class GoPackage:
    path: str
    types: dict = field(default_factory=dict)
    consts: dict = field(default_factory=dict)
    imports: dict = field(default_factory=dict)  # local name -> path, over all files


_IMPORT = re.compile(r'^(?:import\s+|\t)(?:([\w.]+)\s+)?"([^"]+)"$')
_STRUCT = re.compile(r"^type (\w+) struct ?\{(\})?$")
_NAMED = re.compile(r"^type (\w+) (= )?([\w.\[\]*]+)$")
_FIELD = re.compile(r"^\t(?:(\w+)\s+)?([\w.\[\]*{}]+)\s+`([^`]*)`\s*(?://.*)?$")
_CONST = re.compile(r"^(?:const\s+|\t)(\w+)(?:\s+([\w.]+))?\s*=\s*(.+?)$")
_TAG = re.compile(r'(\w+):"((?:[^"\\]|\\.)*)"')


def _parse_tag(text):
    return {key: value for key, value in _TAG.findall(text)}


def _strip_trailing_comment(text):
    """Removes a // comment that stands outside string literals."""
    in_string = False
    for i, char in enumerate(text):
        if char == '"' and (i == 0 or text[i - 1] != "\\"):
            in_string = not in_string
        elif not in_string and text.startswith("//", i):
            return text[:i].rstrip()
    return text.rstrip()


class _File:
    """One pass over the lines of one file, collecting into a package."""

    def __init__(self, package, lines):
        self.package = package
        self.lines = lines
        self.comment = []
        self.outer_comment = []

    def parse(self):
        i = 0
        while i < len(self.lines):
            i = self._top_level(i)

    def _top_level(self, i):
        line = self.lines[i]
        if line.startswith("/*"):
            while "*/" not in self.lines[i]:
                i += 1
        elif line.startswith("//"):
            self.comment.append(line[2:])
            return i + 1
        elif not line.strip():
            if self.comment:
                self.outer_comment = self.comment
            self.comment = []
            return i + 1
        elif line == "import (":
            i = self._imports(i + 1)
        elif match := _IMPORT.match(line):
            self._add_import(match)
        elif match := _STRUCT.match(line):
            go_type = GoType(match[1], self.comment, self.outer_comment, fields=[])
            if not match[2]:
                i = self._struct(i + 1, go_type)
            self.package.types[go_type.name] = go_type
        elif match := _NAMED.match(_strip_trailing_comment(line)):
            self.package.types[match[1]] = GoType(
                match[1], self.comment, self.outer_comment, underlying=match[3], is_alias=bool(match[2])
            )
        elif line.startswith("const ("):
            i = self._consts(i + 1)
        elif match := _CONST.match(_strip_trailing_comment(line)):
            self._add_const(match, self.comment)
        elif line.endswith(("{", "(")):
            while self.lines[i] not in ("}", ")") and not self.lines[i].startswith("})"):
                i += 1
        self.comment, self.outer_comment = [], []
        return i + 1

    def _imports(self, i):
        while self.lines[i] != ")":
            if match := _IMPORT.match(self.lines[i]):
                self._add_import(match)
            i += 1
        return i

    def _add_import(self, match):
        self.package.imports[match[1] or match[2].rsplit("/", 1)[-1]] = match[2]

    def _struct(self, i, go_type):
        comment = []
        while self.lines[i] != "}":
            line = self.lines[i]
            stripped = line.strip()
            if stripped.startswith("//"):
                comment.append(stripped[2:] if line.startswith("\t") else line[2:])
            elif not stripped:
                comment = []
            else:
                if match := _FIELD.match(line):
                    go_type.fields.append(GoField(match[1] or "", match[2], _parse_tag(match[3]), comment))
                comment = []
            i += 1
        return i

    def _consts(self, i):
        comment = []
        while self.lines[i] != ")":
            line = self.lines[i]
            stripped = line.strip()
            if stripped.startswith("//"):
                comment.append(stripped[2:])
            else:
                if match := _CONST.match(_strip_trailing_comment(line)):
                    self._add_const(match, comment)
                comment = []
            i += 1
        return i

    def _add_const(self, match, comment):
        self.package.consts[match[1]] = GoConst(match[1], match[2] or "", match[3], comment)


_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\w.]+|[-+*()])')


def _evaluate(packages, package, expression, seen=()):
    """The value of a constant expression, or None when it is of no interest to API clients."""
    tokens = _TOKEN.findall(expression)
    if "".join(tokens).replace(" ", "") != expression.replace(" ", ""):
        return None
    value = None
    pending_plus = False
    for token in tokens:
        owner, name = package, token
        if not token.startswith('"') and "." in token:
            local, name = token.split(".", 1)
            owner = packages.get(package.imports.get(local, ""), package)
        if token.startswith('"'):
            term = bytes(token[1:-1], "utf-8").decode("unicode_escape")
        elif token == "+":
            pending_plus = True
            continue
        elif token in "()":
            continue
        elif re.fullmatch(r"\d+", token):
            term = int(token)
        elif name in owner.consts and token not in seen:
            term = _evaluate(packages, owner, owner.consts[name].expression, (*seen, token))
        elif name in owner.types or token in ("string", "int32", "int64", "int"):
            continue  # a conversion
        else:
            return None
        if term is None:
            return None
        if value is None:
            value = term
        elif pending_plus and type(value) is type(term):
            value = value + term
            pending_plus = False
        else:
            return None
    return value


def evaluate_constants(packages):
    """Fills `value`, and `type` where a conversion tells it, in all constants. `packages` is keyed by import path."""
    for package in packages.values():
        for const in package.consts.values():
            const.value = _evaluate(packages, package, const.expression)
            conversion = re.match(r"(\w+)\(", const.expression)
            if not const.type and conversion and conversion[1] in package.types:
                const.type = conversion[1]


def source_files(directory):
    """The hand-written Go sources of a package folder."""
    return [
        path
        for path in sorted(directory.glob("*.go"))
        if not path.name.endswith("_test.go") and "generated" not in path.name and path.name != "doc.go"
    ]


def parse_package(roots, import_path):
    """Parses the package under the first root that has it."""
    for root in roots:
        directory = Path(root) / import_path
        if directory.is_dir():
            break
    else:
        raise FileNotFoundError(f"Go package {import_path} is in none of: {', '.join(map(str, roots))}")
    package = GoPackage(import_path)
    for path in source_files(directory):
        _File(package, path.read_text(encoding="utf-8").splitlines()).parse()
    return package
