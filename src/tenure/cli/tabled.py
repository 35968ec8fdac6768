"""Commands with many options: the options are a table, and the command's function gets their values as one mapping.

Invariant: the command line and the help of such a command are those of a function that has each option as a parameter of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature, signature
from typing import Any


def own_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a command's function beside the mapping, which is its first one."""
    return list(signature(function, eval_str=True).parameters.values())[1:]


def with_parameters(
    function: Callable[..., Any], table: Sequence[Parameter], *, call: Callable[..., Any] | None = None, own_first: bool = False
) -> Callable[..., Any]:
    """``function(given, ...)`` as a command with the options of a table in place of its first parameter; ``call`` is called for it. The
    function's own options stand after those of the table, or before."""
    carry_out = call or function
    names = [parameter.name for parameter in table]

    def called(**values: Any) -> Any:
        given = {name: values.pop(name) for name in names}
        return carry_out(given, **values)

    own = own_parameters(function)
    arguments = [p for p in own if p.default is Parameter.empty]
    options = [p for p in own if p.default is not Parameter.empty]
    ordered = [*arguments, *options, *table] if own_first else [*arguments, *table, *options]
    parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in ordered]
    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    called.__doc__ = function.__doc__
    called.__name__ = function.__name__
    return called
