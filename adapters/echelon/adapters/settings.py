"""Settings: YAML that people write, checked against a frozen dataclass, all faults told at once.

A field's type says what is accepted: bool, int, float, str, bytes (as base64), Path, Literal, enums, X | None,
list/tuple/dict of these, and nested dataclasses. Fields without a default are required. A `Path` is taken relative to
the file it stands in. A key that is no Python name is told by `field(metadata={"key": ...})`; NO_IDENTITY and SECRET
mark what is left out of a model's identity.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import difflib
import enum
import reprlib
import types
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from echelon.adapters.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

NO_IDENTITY = types.MappingProxyType({"identity": False})
"""`field(metadata=NO_IDENTITY)`: the setting changes no answer, so that it is no part of the model's identity."""
SECRET = types.MappingProxyType({"secret": True})
"""`field(metadata=SECRET)`: neither the value nor a file that it names enters the identity; of a dict, the keys do."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for a near miss, else what there is."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(known)})" if known else ""


def load(
    settings_type: type[T], values: Mapping[str, Any], *, folder: Path | None = None, where: str = "settings"
) -> T:
    """Build `settings_type` from plain values; SettingsError lists everything that is wrong."""
    faults: list[str] = []
    built = _dataclass(settings_type, values, "", folder or Path(), faults)
    if faults:
        raise SettingsError(f"{where}: " + "; ".join(faults))
    return built  # type: ignore[no-any-return]  # built from settings_type when nothing is wrong


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One key of a settings dataclass, for people; `default` is plain."""

    key: str
    type: str
    required: bool
    default: Any


def describe(settings_type: type[Any]) -> list[Setting]:
    """The keys that `load` takes for `settings_type`, in their order."""
    hints, fields = _schema(settings_type)  # type: ignore[arg-type]  # mypy takes type[Any] for unhashable
    return [_described(key, hints[field.name], field) for key, field in fields.items()]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; SettingsError if it cannot be read, is not a mapping, or says a key twice."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("PyYAML", "server") from error
    loader = _loader()
    try:
        values = yaml.load(path.read_bytes(), loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The stream has no name of its own, and the path stands before it.
        said = " ".join(str(error).replace('in "<byte string>", ', "at ").split())
        raise SettingsError(f"{path} is not valid YAML: {said}") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path} must hold a mapping with text keys at its top")
    return values


def _loader() -> Any:
    import yaml

    class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # picked at run time
        """Refuses a key that is given twice."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            key = loader.construct_object(key_node)
            if key in seen:
                problem = f"the key {key!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return dict(loader.construct_pairs(node, deep=True))

    StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return StrictLoader


def _described(key: str, hint: Any, field: dataclasses.Field[Any]) -> Setting:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    required = default is dataclasses.MISSING
    return Setting(key, _type_name(hint), required, None if required else _plain(default))


def _type_name(hint: Any) -> str:
    """A type as a person would write it."""
    if get_origin(hint) is Literal:
        return " | ".join(map(repr, get_args(hint)))
    if isinstance(hint, type) and get_origin(hint) is None:
        return " | ".join(repr(m.value) for m in hint) if issubclass(hint, enum.Enum) else hint.__name__
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join("null" if option is type(None) else _type_name(option) for option in get_args(hint))
    arguments = ["..." if argument is Ellipsis else _type_name(argument) for argument in get_args(hint)]
    return f"{get_origin(hint).__name__}[{', '.join(arguments)}]" if arguments else str(hint)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _dataclass(kind: type[Any], values: Any, at: str, folder: Path, faults: list[str]) -> Any:
    if not isinstance(values, dict):
        faults.append(f"{at or 'the top'} must be a mapping, not {_said(values)}")
        return None
    prefix = f"{at}." if at else ""
    hints, fields = _schema(kind)  # type: ignore[arg-type]  # mypy takes type[Any] for unhashable
    faults.extend(f"unknown key '{prefix}{name}'{nearest(str(name), fields)}" for name in values if name not in fields)
    before = len(faults)
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[field.name] = _value(hints[field.name], values[name], prefix + name, folder, faults)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"'{prefix}{name}' is required")
    if len(faults) > before:
        return None
    try:
        return kind(**arguments)
    except ValueError as error:  # a dataclass may check itself in __post_init__
        faults.append(f"{prefix[:-1] + ': ' if prefix else ''}{error}")
        return None


@cache
def _schema(kind: type[Any]) -> tuple[dict[str, Any], dict[str, dataclasses.Field[Any]]]:
    """The type of each field by its name, and the fields that can be set by the key they are written with."""
    fields = [field for field in dataclasses.fields(kind) if field.init]
    return get_type_hints(kind), {field.metadata.get("key", field.name): field for field in fields}


def _value(hint: Any, value: Any, at: str, folder: Path, faults: list[str]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _union(arguments, value, at, folder, faults)
    if origin is Literal:
        return _one_of(arguments, value, at, faults)
    if origin in (list, tuple):
        return _sequence(origin, arguments, value, at, folder, faults)
    if origin is dict:
        return _mapping(arguments, value, at, folder, faults)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        chosen = _one_of([member.value for member in hint], value, at, faults)
        return None if chosen is None else hint(chosen)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, at, folder, faults)
    return _scalar(hint, value, at, folder, faults)


def _union(options: tuple[Any, ...], value: Any, at: str, folder: Path, faults: list[str]) -> Any:
    if value is None and type(None) in options:
        return None
    real = [option for option in options if option is not type(None)]
    tries: list[list[str]] = []
    for option in real:
        tries.append([])
        built = _value(option, value, at, folder, tries[-1])
        if not tries[-1]:
            return built
    fewest = min(tries, key=len)
    faults.extend(fewest)
    return None


def _one_of(allowed: Iterable[Any], value: Any, at: str, faults: list[str]) -> Any:
    allowed = list(allowed)
    if value in allowed and type(value) in {type(item) for item in allowed}:
        return value
    faults.append(f"'{at}' is {value!r}{nearest(str(value), map(str, allowed))}")
    return None


def _sequence(kind: Any, arguments: tuple[Any, ...], value: Any, at: str, folder: Path, faults: list[str]) -> Any:
    if not isinstance(value, list | tuple):
        faults.append(f"'{at}' must be a list, not {_said(value)}")
        return None
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != len(value):
            faults.append(f"'{at}' must have {len(arguments)} items, not {len(value)}")
            return None
        hints = arguments
    else:
        hints = (arguments[0] if arguments else Any,) * len(value)
    pairs = enumerate(zip(hints, value, strict=True))
    return kind(_value(hint, item, f"{at}[{i}]", folder, faults) for i, (hint, item) in pairs)


def _mapping(arguments: tuple[Any, ...], value: Any, at: str, folder: Path, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        faults.append(f"'{at}' must be a mapping, not {_said(value)}")
        return None
    item_hint = arguments[1] if arguments else Any
    return {str(key): _value(item_hint, item, f"{at}.{key}", folder, faults) for key, item in value.items()}


def _scalar(hint: Any, value: Any, at: str, folder: Path, faults: list[str]) -> Any:
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is bytes and isinstance(value, str):
        return _bytes(value, at, faults)
    if isinstance(value, hint) and not (hint in (int, float) and isinstance(value, bool)):
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    faults.append(f"'{at}' must be {names.get(hint, getattr(hint, '__name__', str(hint)))}, not {_said(value)}")
    return None


def _bytes(value: str, at: str, faults: list[str]) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        faults.append(f"'{at}' is not base64")
        return None


def _said(value: Any) -> str:
    # Bounded before it is built: YAML aliases can make a short file a huge value.
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
