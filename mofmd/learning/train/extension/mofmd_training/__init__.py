"""mofmd's fused convolution in the trainers of NequIP, MACE and SevenNet.

These modules run in the frameworks' own environments and import nothing of mofmd. A training with
them computes the same numbers, and what it writes is the framework's own: checkpoints and models
hold no trace of it.
"""

from pathlib import Path

# the parts that the exporter uses too (``uvu_paths``)
__path__.append(str(Path(__file__).parents[4] / "models" / "export"))
