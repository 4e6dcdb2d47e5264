"""Records of the Windows event schema (Sysmon for Linux has it too) made flat, and their log source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigma.pyeval.routing import recognise
from sigma.pyeval.rules import LogSource

_WINDOWS = LogSource(product="windows")
_ATTRIBUTES, _TEXT = "#attributes", "#text"


def flatten_windows(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the flat event of *record*, or ``None`` if it is not ``{"Event": {"System": {...}, ...}}``.

    The shape is that of the ``evtx`` library (attributes under ``#attributes``, text under ``#text``):

    - a child of System under its own name; its attributes as ``Provider_Name``, ``Execution_ProcessID``,
      ``Security_UserID``; ``TimeCreated`` is its SystemTime; a child without a value is left out;
    - EventData by the names of its fields, Data without a name as a list under ``Data``;
    - UserData's inner element opened, its fields by name. EventData and UserData win over System.
    """
    event = record.get("Event")
    if not isinstance(event, Mapping) or not isinstance(event.get("System"), Mapping):
        return None
    flat: dict[str, Any] = {}
    for name, child in event["System"].items():
        if name != _ATTRIBUTES:
            _add_system_child(flat, name, child)
    user_data = event.get("UserData")
    if isinstance(user_data, Mapping):
        for name, inner in user_data.items():
            if name != _ATTRIBUTES and isinstance(inner, Mapping):
                _add_fields(flat, inner)
    if isinstance(event.get("EventData"), Mapping):
        _add_fields(flat, event["EventData"])
    return flat


def windows_logsource(event: Mapping[str, Any]) -> LogSource:
    """Return the log source of a flat event, from its Channel, Provider_Name and EventID; see ``routing``."""
    recognised = recognise(event)
    return _WINDOWS if recognised.product is None else recognised


def _add_system_child(flat: dict[str, Any], name: str, child: object) -> None:
    if not isinstance(child, Mapping):
        if child is not None:
            flat[name] = child
        return
    attributes = child.get(_ATTRIBUTES)
    if child.get(_TEXT) is not None:
        flat[name] = child[_TEXT]
    if isinstance(attributes, Mapping):
        for attribute, value in attributes.items():
            if name == "TimeCreated" and attribute == "SystemTime":
                flat[name] = value
            elif value is not None:
                flat[f"{name}_{'UserID' if attribute == 'UserId' else attribute}"] = value


def _add_fields(flat: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name == _ATTRIBUTES:
            continue
        text = value.get(_TEXT) if isinstance(value, Mapping) and _TEXT in value else value
        if name == "Data":
            text = text if isinstance(text, list) else [text]
        flat[name] = text
