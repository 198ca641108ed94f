"""Arguments as a client sends them: their schema, and what to say of wrong ones. Every door uses this one reading."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dibs.answers import Request
from dibs.registry import Tool
from dibs.store.errors import InvalidArguments

ADDED_BY_CLIENTS = frozenset({"wait_for_previous"})
DROPPED_FROM_SCHEMAS = frozenset({"title", "shell_only", "additionalProperties"})
OFTEN_MEANT = {"task_id": ["id"], "taskid": ["id"], "task": ["id"], "token": ["claim_token"]}
MISSPELT = 0.75
NAMES_TOLD = 10
ERRORS_TOLD = 20
NAME_CHARACTERS = 80
"""Of a name that is not ours: a client may send megabytes of them, and would get them back twice."""


def input_schema(tool: Tool, *, shell: bool = False) -> dict[str, Any]:
    """The tool's arguments as one flat JSON Schema object that every client takes: no $ref, anyOf, const or title.

    An argument that is a list of objects has such a schema in it. ``shell``: with those that only a person at a shell
    has.
    """
    schema = tool.request.model_json_schema()
    return _flat_object(schema, tool.arguments(shell=shell), schema.get("$defs", {}))


def _flat_object(schema: dict[str, Any], names: Collection[str], definitions: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: _flat(prop, definitions) for name, prop in schema["properties"].items() if name in names}
    required = [name for name in schema.get("required", []) if name in names]
    return {"type": "object", "properties": properties, "required": required}


def _flat(prop: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One property: a choice is not told that it may also be empty, bounds on texts are the server's business."""
    if "enum" in prop:
        prop = {**prop, "enum": [word for word in prop["enum"] if word]}
    dropped = DROPPED_FROM_SCHEMAS | {"maxLength", "maxItems", "minLength", "minItems"}
    flat = {key: value for key, value in prop.items() if key not in dropped}
    if isinstance(items := flat.get("items"), dict):
        flat["items"] = {"type": items["type"]} if "type" in items else _flat_items(items, definitions)
    if flat.get("default") in ("", [], {}, 0, False):
        del flat["default"]
    return flat


def _flat_items(items: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    item = definitions[items["$ref"].rsplit("/", 1)[1]]
    return _flat_object(item, item["properties"], definitions)


def read_arguments(tool: Tool, given: Mapping[str, Any]) -> tuple[Request, list[str]]:
    """The request, and a warning for each argument that is none of ours.

    Clients add arguments of their own, so a foreign name never breaks a call; one that looks like a misspelt name of
    ours does, because ignoring it would pass for success.

    Raises:
        InvalidArguments: a wrong value, a missing argument, or a misspelt name; each is named.
    """
    known = tool.arguments(shell=False)
    foreign = [name for name in given if name not in known]
    for name in foreign:
        near = _meant(name[:NAME_CHARACTERS].casefold(), known)
        if near and name not in ADDED_BY_CLIENTS and near[0] not in given:
            raise InvalidArguments(
                f"{tool.name} has no argument {told_name(name)}, did you mean {near[0]!r}? "
                "Nothing was changed; call again",
                arguments=list(known),
            )
    values = {name: value for name, value in given.items() if name in known and value is not None}
    return validate(tool, values, foreign), _ignored([name for name in foreign if name not in ADDED_BY_CLIENTS])


def told_name(name: str) -> str:
    """A name that a client made up, short enough to be repeated to it."""
    return repr(name[:NAME_CHARACTERS] + "…" * (len(name) > NAME_CHARACTERS))


def _meant(name: str, known: Mapping[str, object]) -> list[str]:
    near = difflib.get_close_matches(name, known, n=1, cutoff=MISSPELT)
    return near or [meant for meant in OFTEN_MEANT.get(name, ()) if meant in known]


def _ignored(foreign: Sequence[str]) -> list[str]:
    warnings = [f"argument {told_name(name)} is not known and was ignored" for name in foreign[:NAMES_TOLD]]
    more = len(foreign) - NAMES_TOLD
    return [*warnings, f"{more} more arguments are not known and were ignored"] if more > 0 else warnings


def validate(tool: Tool, values: Mapping[str, Any], foreign: Sequence[str] = (), *, called: str = "") -> Request:
    """The request. ``called`` is what the caller knows the tool as; ``foreign`` are names that were left out of it.

    Raises:
        InvalidArguments: with every value that is wrong.
    """
    try:
        return tool.request.model_validate(values)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_context=False)
        told = "; ".join(f"{_place(error['loc'])}: {_told(dict(error), tool)}" for error in wrong[:ERRORS_TOLD])
        told += f"; and {len(wrong) - ERRORS_TOLD} more" if len(wrong) > ERRORS_TOLD else ""
        unknown = f"; not known: {', '.join(map(told_name, foreign[:NAMES_TOLD]))}" if foreign else ""
        unknown += f" and {len(foreign) - NAMES_TOLD} more" if len(foreign) > NAMES_TOLD else ""
        raise InvalidArguments(
            f"{called or tool.name}: {told}{unknown}. Nothing was changed; mend that and call again"
        ) from exc


def _place(loc: Sequence[str | int]) -> str:
    """Where a wrong value is: an argument, or an item of a list, or a field of such an item."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part:.{NAME_CHARACTERS}}" for part in loc)[1:]


def _told(error: Mapping[str, Any], tool: Tool) -> str:
    match error["type"]:
        case "missing":
            return "this argument is required"
        case "string_too_short" | "too_short":
            return "this must not be empty"
        case "extra_forbidden":
            return _unknown_field(error["loc"], tool)
        case "too_long":  # what it is instead would fill the screen
            return str(error["msg"]).replace("List should", "it should").replace(" after validation", "")
        case "model_type":
            message = "it should be an object"
        case _:
            message = str(error["msg"]).removeprefix("Value error, ").replace(" or ''", "")
    return f"{message.replace('Input should be', 'it should be')}, not {error['input']!r:.80}"


def _unknown_field(loc: Sequence[str | int], tool: Tool) -> str:
    """A field of an object in a list is not ignored as a foreign argument is: no client adds any there; nor is one of
    a file that somebody wrote."""
    fields = input_schema(tool)["properties"]
    if len(loc) > 1:
        fields = fields[loc[0]]["items"]["properties"]
    near = difflib.get_close_matches(str(loc[-1])[:NAME_CHARACTERS].casefold(), fields, n=1, cutoff=MISSPELT)
    return "there is no such field, " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(fields)}")


def output_schema(tool: Tool) -> dict[str, Any]:
    """What a call gives, as one JSON Schema object without $ref, titles and descriptions: a whole result, or an error.

    Clients on the TypeScript SDK hold errors against it too, and keep one that does not fit from the model.
    """
    schema = tool.result.model_json_schema(mode="serialization")
    bare = _bare(schema, schema.get("$defs", {}))
    result = {"required": bare.pop("required")}
    return {**bare, "anyOf": [result, {"required": ["code", "message", "task_id"]}]}


def _bare(node: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[1]]
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: _short(_bare(prop, definitions)) for name, prop in value.items()}
            kept["required"] = list(value)  # also what has a default: all keys of a result are always there
        elif key == "anyOf":  # something or null: nothing else occurs in results
            something = _bare(next(part for part in value if part.get("type") != "null"), definitions)
            kept |= {**something, "type": [something["type"], "null"]}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            kept[key] = _short(_bare(value, definitions))
        elif key in ("type", "enum", "const", "items", "additionalProperties"):
            kept[key] = value
    return kept


def _short(node: dict[str, Any]) -> dict[str, Any]:
    """An object inside a result, the commonest type of its values said once: agents are sent this again and again."""
    properties = node.get("properties", {})
    types = list(properties.values())
    commonest = max(types, key=types.count, default=None)
    if types.count(commonest) < 2:
        return node
    others = {name: prop for name, prop in properties.items() if prop != commonest}
    return {**node, "properties": others, "additionalProperties": commonest}
