"""Reading bytes in compiled code without what numba adds to an index.

An index of numba may be negative, and an array may have any stride; a parser that looks at every
byte pays more for that than for the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _reader(bits: int) -> Callable[[np.ndarray, int], int]:
    """Make a function for compiled code: bits from a byte of an array on, little end first."""

    def read(_: Any, data: Any, position: Any) -> Any:
        if not (isinstance(data, types.Array) and data.dtype == types.uint8 and data.layout == "C"):
            return None
        if not isinstance(position, types.Integer):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            wide = builder.bitcast(place, ir.IntType(bits).as_pointer())
            value = builder.load(wide, align=1)
            return builder.zext(value, ir.IntType(64)) if bits < 64 else value

        result = types.uint64 if bits == 64 else types.int64
        return result(data, types.int64), generate

    made: Callable[[np.ndarray, int], int] = intrinsic(read)
    return made


# data, position: the byte there, as an int64
byte_at = _reader(8)
# data, position: eight bytes as a uint64; the caller sees to it that they are there
eight_bytes_at = _reader(64)
