"""Arrays that results and structures hold and nobody may change."""

from __future__ import annotations


def freeze(instance: object, *names: str) -> None:
    """Make array fields of a frozen dataclass read-only; fields that are None stay so.

    They become views: the arrays that the dataclass was made of stay their owner's to write to.

    Parameters
    ----------
    instance
        The dataclass, in its ``__post_init__``.
    names
        Its fields.
    """
    for name in names:
        array = getattr(instance, name)
        if array is not None:
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(instance, name, view)
