"""Writes the contract's rules as plain Python, for the messages that every call brings.

protovalidate walks a message by reflection and takes some 6 us a part. What is written here takes a tenth of that, and
only ever vouches for a message: one that it cannot vouch for is protovalidate's to judge, and to explain.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

VOUCHED = ("echelon.v1.Call", "echelon.v1.Outcome")
LARGEST_BYTES = 64 * 1024
"""A message of more bytes is never vouched for. That keeps every limit of a length from here on up, without a look."""
HEAD = '''"""The contract's rules in plain Python; written by `make proto`, not to be edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from echelon.v1 import content_pb2, model_service_pb2

LARGEST_BYTES = {largest}
"""What is vouched for is at most as large."""
'''
TAIL = '''
VOUCH: Mapping[type[Any], Callable[[Any], Any]] = {{
{entries}
}}
"""Whether a message of at most LARGEST_BYTES surely keeps its rules; one that is not vouched for may keep them too."""
'''
LOWER, UPPER = {"gte": "<=", "gt": "<"}, {"lte": "<=", "lt": "<"}
NUMBERS = ("int32", "uint32", "int64", "double")


class Writer:
    """Writes one function for each message type that has rules, below those that it needs."""

    def __init__(self, files: descriptor_pb2.FileDescriptorSet) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self._pool.Add(file)
        self._functions: dict[str, str] = {}
        self._tables: list[str] = []

    def module(self) -> str:
        """The whole module."""
        entries = []
        for name in VOUCHED:
            message = self._pool.FindMessageTypeByName(name)
            self._write(message)
            module = message.file.name.rpartition("/")[2].removesuffix(".proto") + "_pb2"
            entries.append(f"    {module}.{message.name}: {_function(message)},")
        body = "".join([*self._functions.values(), "\n", *self._tables])
        return HEAD.format(largest=LARGEST_BYTES) + body + TAIL.format(entries="\n".join(entries))

    def _write(self, message: Descriptor) -> bool:
        """Write the function of `message`; whether it has any rules."""
        if message.full_name not in self._functions:
            self._functions[message.full_name] = ""
            assert not self._options(message, "Message", "message").ListFields(), (
                f"{message.full_name}: no term for that"
            )
            groups = [group for group in message.oneofs if not _is_optional(group)]
            alone = [field for field in message.fields if field.containing_oneof not in groups]
            terms = [*(term for field in alone for term in self._terms(field)), *map(self._one_of, groups)]
            if terms:
                body = "\n        and ".join(terms)
                self._functions[message.full_name] = (
                    f"\n\ndef {_function(message)}(m: Any) -> Any:\n    return (\n        {body}\n    )\n"
                )
        return bool(self._functions[message.full_name])

    def _one_of(self, group: Any) -> str:
        """One alternative is set and keeps its rules."""
        assert self._options(group, "Oneof", "oneof").required, f"{group.full_name} may be left out: no term for that"
        table = f"_OF_{_function(group.containing_type).strip('_').upper()}"
        rows = "".join(f'    "{field.name}": {self._alternative(field)},\n' for field in group.fields)
        self._tables.append(f"\n{table}: Mapping[str | None, Callable[[Any], Any]] = {{\n{rows}}}\n")
        return f'(kind := m.WhichOneof("{group.name}")) and {table}[kind](getattr(m, kind))'

    def _alternative(self, field: FieldDescriptor) -> str:
        if field.message_type is not None and self._write(field.message_type):
            return _function(field.message_type)
        return f"lambda x: {' and '.join(self._single(field, self._options(field, 'Field', 'field'), 'x')) or True}"

    def _terms(self, field: FieldDescriptor) -> list[str]:
        """What must be true of a field."""
        rules, x = self._options(field, "Field", "field"), f"m.{field.name}"
        assert not rules.cel, f"{field.full_name}: no term for that"
        assert not rules.ignore, f"{field.full_name}: no term for that"
        if field.is_repeated:
            return self._repeated(field, rules, x)
        if field.message_type is not None and field.message_type.file.package.startswith("google."):
            return [f"not {_has(field)}"]  # rare, and protovalidate knows it
        terms = self._single(field, rules, x)
        if not terms or not field.has_presence:
            return terms
        if rules.required:
            return [_has(field), *terms]
        return [f"(not {_has(field)} or {' and '.join(terms)})"]

    def _repeated(self, field: FieldDescriptor, rules: Any, x: str) -> list[str]:
        _expect_known(field, rules.repeated, {"min_items", "max_items", "items"})
        # An item takes a byte at least.
        terms = _length("xs", rules.repeated.min_items, rules.repeated.max_items)
        if each := self._single(field, rules.repeated.items, "x"):
            terms.append(f"all([{' and '.join(each)} for x in xs])")
        if not terms:
            return []
        # Most are empty, and then one look is enough.
        if rules.repeated.min_items:
            return [f"(xs := {x})", *(term for term in terms if term != "xs")]
        return [f"(not (xs := {x}) or {' and '.join(terms)})"]

    def _single(self, field: FieldDescriptor, rules: Any, x: str) -> list[str]:
        """What must be true of one value `x`."""
        if field.message_type is not None:
            return [f"{_function(field.message_type)}({x})"] if self._write(field.message_type) else []
        kind = rules.WhichOneof("type")
        if kind is None:
            return []
        limits = getattr(rules, kind)
        if kind in ("string", "bytes"):
            return _lengths(field, limits, x)
        if kind == "enum":
            _expect_known(field, limits, {"defined_only", "not_in"})
            values = sorted({value.number for value in field.enum_type.values} - set(limits.not_in))
            return [f"{x} in {tuple(values)}"]
        assert kind in NUMBERS, f"{field.full_name}: no term for rules of {kind}"
        _expect_known(field, limits, {*LOWER, *UPPER, "finite"})
        lower, upper = _bound(limits, LOWER), _bound(limits, UPPER)
        terms = [f"{lower[0]} {lower[1]} {x}" if lower else x] if lower or upper else []
        if upper:
            terms[0] += f" {upper[1]} {upper[0]}"
        # Comparisons are false for NaN, and two limits leave no room for the infinite.
        return [*terms, f"isfinite({x})"] if kind == "double" and limits.finite and not (lower and upper) else terms

    def _options(self, of: Any, what: str, extension: str) -> Any:
        options: Any = message_factory.GetMessageClass(
            self._pool.FindMessageTypeByName(f"google.protobuf.{what}Options")
        )
        known = self._pool.FindExtensionByName(f"buf.validate.{extension}")
        return options.FromString(of.GetOptions().SerializeToString()).Extensions[known]


def _lengths(field: FieldDescriptor, limits: Any, x: str) -> list[str]:
    _expect_known(field, limits, {"len", "min_len", "max_len"})
    return _length(x, limits.len, limits.len) if limits.len else _length(x, limits.min_len, limits.max_len)


def _length(x: str, least: int, most: int) -> list[str]:
    """How many there must be; `most` is 0 for no limit, and limits that no message reaches are left out."""
    if least == most:
        return [f"len({x}) == {least}"] if least else []
    terms = [x] if least == 1 else [f"len({x}) >= {least}"] if least else []
    return [*terms, f"len({x}) <= {most}"] if 0 < most < LARGEST_BYTES else terms


def _bound(limits: Any, compared: dict[str, str]) -> tuple[Any, str] | None:
    return next(((value, compared[rule]) for rule, value in _set(limits) if rule in compared), None)


def _has(field: FieldDescriptor) -> str:
    return f'm.HasField("{field.name}")'


def _expect_known(field: FieldDescriptor, limits: Any, known: set[str]) -> None:
    unknown = {rule for rule, _ in _set(limits)} - known
    assert not unknown, f"{field.full_name}: no term for {', '.join(sorted(unknown))}; write one, or leave it unvouched"


def _set(limits: Any) -> list[tuple[str, Any]]:
    return [(rule.name, value) for rule, value in limits.ListFields()]


def _is_optional(group: Any) -> bool:
    """Whether it is only how protobuf keeps an optional field."""
    return len(group.fields) == 1 and group.name.startswith("_")


def _function(message: Descriptor) -> str:
    return "_" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in message.name).lstrip("_")
