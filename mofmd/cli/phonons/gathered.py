"""Options that several commands share, declared once with what is made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from functools import wraps
from inspect import Parameter
from typing import Any


def gathered(**groups: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take what is made of options in the place of the options themselves.

    Parameters
    ----------
    groups
        For parameters of the command, by name: what makes their value; its own parameters become
        options of the command, where the parameter stands.

    Examples
    --------
    >>> def size(width: float = 2.0, height: float = 1.0) -> float:
    ...     return width * height
    >>> @gathered(area=size)
    ... def paint(colour: str, area: float) -> None:
    ...     print(colour, area)
    >>> list(inspect.signature(paint).parameters)
    ['colour', 'width', 'height']
    >>> paint(colour="red", height=3.0)
    red 6.0
    """
    makers = {name: _parameters(make) for name, make in groups.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[Parameter] = []
        for parameter in _parameters(command, leave=groups):
            parameters += makers.get(parameter.name, [parameter])

        @wraps(command)
        def call(**given: Any) -> None:
            for name, options in makers.items():
                names = [each.name for each in options]
                chosen = {key: given.pop(key) for key in names if key in given}
                given[name] = groups[name](**chosen)
            command(**given)

        vars(call)["__signature__"] = inspect.Signature(parameters)
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call

    return decorate


def _parameters(function: Any, leave: Container[str] = ()) -> list[Parameter]:
    """Parameters as named ones, their types read; of those to leave they may be words alone."""
    names = function.__globals__
    found = []
    for parameter in inspect.signature(function).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, str) and parameter.name not in leave:
            kind = eval(kind, names)
        found.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind))
    return found
