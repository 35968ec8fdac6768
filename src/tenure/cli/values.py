"""Reading the values of options without pydantic.

Typer hands every value to pydantic, whose import alone takes longer than a whole command may. Ours are text, whole numbers, switches
and lists of text, so they are read here. Invariant: a Typer that does not ask for a parameter's converter converts by itself, slower.
"""

from __future__ import annotations

from typing import Any

import typer


class Plain:
    """Converts the values of one parameter that is text, a whole number, or a list of text."""

    def __init__(self, *, whole: bool, least: float | None) -> None:
        self._whole = whole
        self._least = least

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command's function takes it. Raises BadParameter."""
        if param.multiple or param.nargs == -1:
            return list(value or ())
        if value is None or not self._whole:
            return value
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a whole number", ctx=ctx, param=param) from None
        if self._least is not None and number < self._least:
            raise typer.BadParameter(f"{number} is less than {self._least:g}", ctx=ctx, param=param)
        return number


def plainly(param: Any) -> Any:
    """Let a parameter be read by `Plain`; returns it."""
    described = getattr(param, "type_descriptor", None)
    if described is not None and hasattr(param, "get_runtime_param"):
        whole = described.annotation is int
        reader = Plain(whole=whole, least=described.parameter_info.min if whole else None)
        param.get_runtime_param = lambda: reader
    return param
