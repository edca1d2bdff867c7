"""Reference of errors: the classes of `mofmd.errors`."""

from __future__ import annotations

import inspect

import text

from mofmd import errors


def page() -> str:
    """Table of the classes of errors and notes."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    ]
    rows = [
        (f"{{py:class}}`~mofmd.errors.{kind.__name__}`", _also(kind), text.summary(kind))
        for kind in kinds
    ]
    return text.table(("class", "is also", "meaning"), rows)


def _also(kind: type) -> str:
    own = (Exception, BaseException, object, errors.MofmdError, kind)
    return ", ".join(text.code(base.__name__) for base in kind.__bases__ if base not in own)
