"""Message components: their limits, and how the API shows them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from twins.discord.refusal import FormErrors

Json = dict[str, Any]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
PICKERS = (5, 6, 7, 8)
"""Selects of people, roles, either, channels."""
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
SECOND_VERSION = 1 << 15
"""The message flag without which the layout components may not stand in it."""
_LINK, _PREMIUM = 5, 6
_DEFAULTS: dict[int, Json] = {
    STRING_SELECT: {"min_values": 1, "max_values": 1},
    **{one: {"min_values": 1, "max_values": 1} for one in PICKERS},
    CONTAINER: {"accent_color": None, "spoiler": False},
    SEPARATOR: {"spacing": 1, "divider": True},
}
"""What the API adds where a bot did not say."""
_LAYOUT = (SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR, CONTAINER)


def check_components(errors: FormErrors, components: Any, flags: int, path: str = "components") -> None:
    """Note what is wrong with a message's components."""
    if components is None:
        return
    layout = bool(flags & SECOND_VERSION)
    if layout and sum(1 for _ in every(components)) > 40:
        errors.add(path, "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "The total number of components cannot exceed 40.")
    if not layout:
        errors.too_long(path, components, 5)
    seen: set[str] = set()
    for position, component in enumerate(components):
        here = f"{path}.{position}"
        kind = component.get("type")
        if kind == ROW:
            _check_row(errors, component, here, seen)
        elif not (layout and kind in _LAYOUT):
            choices = ", ".join(map(str, (ROW, *_LAYOUT) if layout else (ROW,)))
            errors.add(f"{here}.type", "BASE_TYPE_CHOICES", f"Value must be one of ({choices},).")
        elif kind == TEXT_DISPLAY:
            errors.missing(f"{here}.content", component.get("content"))
            errors.too_long(f"{here}.content", component.get("content"), 4000)
        elif kind == CONTAINER:
            check_components(errors, component.get("components"), flags, f"{here}.components")


def _check_row(errors: FormErrors, row: Json, path: str, seen: set[str]) -> None:
    inside = row.get("components")
    if not inside or len(inside) > 5:
        errors.add(f"{path}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        return
    for position, component in enumerate(inside):
        here = f"{path}.components.{position}"
        kind = component.get("type")
        if kind == BUTTON:
            _check_button(errors, component, here)
        elif kind == STRING_SELECT or kind in PICKERS:
            _check_select(errors, component, here)
        else:
            errors.add(f"{here}.type", "BASE_TYPE_CHOICES", "Value must be one of (2, 3, 5, 6, 7, 8).")
        custom_id = component.get("custom_id")
        errors.too_long(f"{here}.custom_id", custom_id, 100)
        if custom_id is not None and custom_id in seen:
            words = "Component custom id cannot be duplicated"
            errors.add(f"{here}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", words)
        seen.add(str(custom_id))


def _check_button(errors: FormErrors, button: Json, path: str) -> None:
    style = button.get("style")
    if style not in range(1, 7):
        errors.add(f"{path}.style", "BASE_TYPE_CHOICES", "Value must be one of (1, 2, 3, 4, 5, 6).")
    elif style == _LINK:
        errors.missing(f"{path}.url", button.get("url"))
    elif style != _PREMIUM:
        if not button.get("custom_id"):
            errors.add(f"{path}.custom_id", "COMPONENT_CUSTOM_ID_REQUIRED", "A custom id is required")
        if not button.get("label") and not button.get("emoji"):
            errors.add(path, "BUTTON_COMPONENT_INVALID_LABEL", "A button must have a label or emoji")
    errors.too_long(f"{path}.label", button.get("label"), 80)


def _check_select(errors: FormErrors, select: Json, path: str) -> None:
    if not select.get("custom_id"):
        errors.add(f"{path}.custom_id", "BASE_TYPE_REQUIRED", "This field is required")
    errors.too_long(f"{path}.placeholder", select.get("placeholder"), 150)
    if select.get("type") != STRING_SELECT:
        return
    options = select.get("options") or []
    if not 1 <= len(options) <= 25:
        errors.add(f"{path}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    for position, option in enumerate(options):
        for part in ("label", "value"):
            errors.missing(f"{path}.options.{position}.{part}", option.get(part))
            errors.too_long(f"{path}.options.{position}.{part}", option.get(part), 100)


def shown_components(components: list[Json]) -> list[Json]:
    """Return components as a message shows them: each with an id."""
    numbers = itertools.count(1)
    return [_shown(component, numbers) for component in components]


def _shown(component: Json, numbers: Iterator[int]) -> Json:
    shown = {key: value for key, value in component.items() if value is not None}
    number = next(numbers)
    if not shown.get("id"):
        shown["id"] = number
    shown = {**_DEFAULTS.get(shown["type"], {}), **shown}
    shown.pop("required", None)
    if "emoji" in shown:
        shown["emoji"] = {key: value for key, value in shown["emoji"].items() if value is not None}
    if "components" in shown:
        shown["components"] = [_shown(inner, numbers) for inner in shown["components"]]
    if "accessory" in shown:
        shown["accessory"] = _shown(shown["accessory"], numbers)
    return shown


def every(components: list[Json]) -> Iterator[Json]:
    """Yield components and what is inside them, in reading order."""
    for component in components:
        yield component
        yield from every(component.get("components", []))
        if "accessory" in component:
            yield component["accessory"]
