"""Turns parsed Go packages into what the C++ writer needs: structs with resolved fields, constants and kinds."""

import json
import re
from dataclasses import dataclass, field

import packages as config
from go_parser import evaluate_constants, parse_package

_CPP_KEYWORDS = frozenset(
    "alignas alignof and asm auto bool break case catch char class compl concept const continue co_await co_return "
    "co_yield decltype default delete do double else enum explicit export extern false float for friend goto if "
    "inline int long mutable namespace new noexcept not nullptr operator or private protected public register "
    "requires return short signed sizeof static struct switch template this throw true try typedef typeid typename "
    "union unsigned using virtual void volatile while xor".split()
)
_BUILTIN_KINDS = {
    "bool": "Bool",
    "int": "Int64",
    "int32": "Int32",
    "int64": "Int64",
    "float64": "Double",
    "string": "String",
    "interface{}": "RawJson",
    "any": "RawJson",
}
_WORD = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]")
_ENUM_SPACES = re.compile(r"\s+")


def snake_case(name):
    """`podIPs` -> `pod_ips`, `nonResourceURLs` -> `non_resource_urls`; keywords get a trailing underscore."""
    words = _WORD.findall(re.sub(r"[^A-Za-z0-9]", " ", name))
    snake = "_".join(word.lower() for word in words)
    return snake + "_" if snake in _CPP_KEYWORDS else snake


def description(comment):
    """Joins comment lines as the published OpenAPI does: paragraphs kept, markers and TODO lines dropped."""
    text = ""
    for line in comment:
        line = line[1:] if line.startswith(" ") else line
        line = line.rstrip()
        if line == "---":
            break
        if not line:
            text = text[:-1] + "\n\n"
        elif line.lstrip().startswith(("TODO", "+")):
            continue
        elif line[0] in " \t":
            text = text[:-1] if text.endswith((" ", "\n")) else text
            text += "\n" + line + "\n"
        else:
            text += line + " "
    return text.strip()


def markers(comment):
    """The `+name=value` lines of a comment; a repeated marker collects its values."""
    found = {}
    for line in comment:
        match = re.match(r"\s*\+([\w:]+)(?:=(.*))?$", line.rstrip())
        if match:
            found.setdefault(match[1], []).append(match[2] or "")
    return found


@dataclass
class TypeRef:
    """A resolved field type. `struct` is set for kind Struct, `enum` for string types marked +enum."""

    kind: str
    shape: str = "Plain"
    struct: object = None
    enum: object = None


@dataclass
class Enum:
    values: list
    doc: str


@dataclass
class Field:
    cpp_name: str
    json_name: str
    proto_number: int
    ref: TypeRef
    omit_empty: bool
    required: bool
    inline: bool
    nested_type_meta: bool
    empty_list: bool
    patch_strategy: str
    patch_merge_key: str
    list_type: str
    list_map_keys: list
    map_type: str
    default_json: str
    doc: str


@dataclass
class Struct:
    package: config.Package
    name: str
    doc: str
    is_kind: bool
    api_version: str
    json_union: bool
    client: dict  # the +genclient markers; empty when the type has no client
    fields: list = field(default_factory=list)

    @property
    def qualified(self):
        return f"{self.package.name}::{self.name}"


class Model:
    """All packages, resolved. `structs(package)` and `constants(package)` are in declaration order."""

    def __init__(self, roots):
        self._go = {package.path: parse_package(roots, package.path) for package in config.PACKAGES}
        evaluate_constants(self._go)
        self._structs = {}  # (import path, name) -> Struct
        declared = [item for package in config.PACKAGES for item in self._declare(package)]
        for struct, path, go_type in declared:
            struct.fields = [self._field(struct, path, go_field) for go_field in self._own_fields(go_type)]

    def structs(self, package):
        return [struct for (path, _), struct in self._structs.items() if path == package.path]

    def constants(self, package):
        """(name, value) of every exported string or integer constant."""
        return [
            (const.name, const.value)
            for const in self._go[package.path].consts.values()
            if const.value is not None and const.name[0].isupper()
        ]

    def _declare(self, package):
        """Yields (Struct, import path its field types are resolved in, GoType)."""
        go_package = self._go[package.path]
        for go_type in go_package.types.values():
            path = package.path
            definition = go_type
            if go_type.fields is None:
                # `type List metav1.List` repeats another package's struct.
                path, definition = self._find(package.path, go_type.underlying)
                if go_type.is_alias or definition is None or definition.fields is None or path == package.path:
                    continue
            if go_type.name in package.skip or not self._is_wire_struct(definition):
                continue
            struct = self._struct(package, go_type, definition)
            self._structs[(package.path, go_type.name)] = struct
            yield struct, path, definition

    @staticmethod
    def _is_wire_struct(go_type):
        return go_type.name[0].isupper() and all("json" in f.tag for f in go_type.fields) and go_type.name != "TypeMeta"

    def _struct(self, package, go_type, definition):
        is_kind = (package.name, go_type.name) not in config.NOT_KINDS and any(
            f.name == "" and f.type.endswith("TypeMeta") for f in definition.fields
        )
        api_version = ""
        if is_kind:
            in_core = package.name == "metav1" and go_type.name in config.META_V1_KINDS_OF_CORE
            api_version = "v1" if in_core else package.api_version
        client = {
            key: values
            for key, values in markers(go_type.outer_comment + go_type.comment).items()
            if key.startswith("genclient")
        }
        return Struct(
            package,
            go_type.name,
            description(go_type.comment),
            is_kind,
            api_version,
            (package.name, go_type.name) in config.JSON_UNIONS,
            client,
        )

    @staticmethod
    def _own_fields(go_type):
        for go_field in go_type.fields:
            if go_field.type.endswith("TypeMeta") or go_field.tag["json"] == "-":
                continue
            yield go_field

    def _find(self, path, type_name):
        """(import path, GoType or None) of a possibly qualified type name used in package `path`."""
        if "." in type_name:
            local, type_name = type_name.split(".", 1)
            path = self._go[path].imports.get(local, local)
        go_package = self._go.get(path)
        return path, go_package.types.get(type_name) if go_package else None

    def _field(self, struct, path, go_field):
        json_name, *options = go_field.tag["json"].split(",")
        ref = self._resolve(path, go_field.type)
        inline = "inline" in options
        type_name = go_field.type.rsplit(".", 1)[-1].lstrip("*")
        cpp_source = type_name if inline else json_name
        cpp_source = cpp_source[0].lower() + cpp_source[1:] if inline else cpp_source
        marks = markers(go_field.comment)
        proto = re.match(r"\w+,(\d+),", go_field.tag.get("protobuf", "") + ",")
        doc = description(go_field.comment)
        if ref.enum:
            doc += ref.enum.doc
        omit_empty = "omitempty" in options
        return Field(
            cpp_name=snake_case(cpp_source),
            json_name="" if inline else json_name,
            proto_number=int(proto[1]) if proto else 0,
            ref=ref,
            omit_empty=omit_empty,
            required=not inline and not omit_empty and "optional" not in marks,
            inline=inline,
            nested_type_meta=(struct.package.name, struct.name, json_name) in config.NESTED_TYPE_META,
            empty_list=json_name in config.EMPTY_LIST_FIELDS and struct.name.endswith("List"),
            patch_strategy=go_field.tag.get("patchStrategy", ""),
            patch_merge_key=go_field.tag.get("patchMergeKey", ""),
            list_type=marks.get("listType", [""])[0],
            list_map_keys=marks.get("listMapKey", []),
            map_type=(marks.get("mapType") or marks.get("structType") or [""])[0],
            default_json=self._default(path, marks.get("default", [""])[0]),
            doc=doc,
        )

    def _default(self, path, text):
        if match := re.fullmatch(r"ref\((\w+)\)", text):
            return json.dumps(self._go[path].consts[match[1]].value)
        return text

    def _resolve(self, path, go_type):
        if go_type.startswith("*"):
            inner = self._resolve(path, go_type[1:])
            if inner.shape != "Plain":
                return inner  # a pointer to a slice or map adds nothing
            return TypeRef(inner.kind, "Pointer", inner.struct, inner.enum)
        if go_type == "[]byte":
            return TypeRef("Bytes")
        if go_type.startswith("[]"):
            inner = self._resolve(path, go_type[2:])
            return TypeRef(inner.kind, "Slice", inner.struct, inner.enum)
        if match := re.match(r"map\[[\w.]+\](.+)$", go_type):
            inner = self._resolve(path, match[1])
            shape = "MapOfSlices" if inner.shape == "Slice" else "Map"
            return TypeRef(inner.kind, shape, inner.struct, inner.enum)
        if go_type in _BUILTIN_KINDS:
            return TypeRef(_BUILTIN_KINDS[go_type])
        return self._resolve_named(path, go_type)

    def _resolve_named(self, path, go_type):
        owner, definition = self._find(path, go_type)
        name = go_type.rsplit(".", 1)[-1]
        if (owner, name) in config.SCALARS:
            return TypeRef(config.SCALARS[(owner, name)])
        if owner in config.STRING_PACKAGES:
            return TypeRef("String")
        if (owner, name) in self._structs:
            return TypeRef("Struct", struct=self._structs[(owner, name)])
        if definition is None:
            raise KeyError(f"{path}: unknown type {go_type} ({owner})")
        ref = self._resolve(owner, definition.underlying)
        if ref.kind == "String" and ref.shape == "Plain" and "enum" in markers(definition.comment):
            ref.enum = self._enum(owner, definition)
        return ref

    def _enum(self, path, definition):
        values, lines = [], []
        type_name = definition.underlying if definition.is_alias else definition.name
        for const in self._go[path].consts.values():
            if const.type == type_name and isinstance(const.value, str):
                values.append(const.value)
                text = _ENUM_SPACES.sub(" ", " ".join(const.comment)).strip()
                text = text[len(const.name) :].strip() if text.startswith(const.name) else text
                lines.append(f" - `{json.dumps(const.value)}` {text}".rstrip())
        if not values:
            raise ValueError(f"{path}: no values of enum {type_name}")
        doc = "\n\nPossible enum values:\n" + "\n".join(sorted(lines))
        return Enum(sorted(values), doc)
