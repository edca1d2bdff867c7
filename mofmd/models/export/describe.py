"""What a checkpoint or package of nequip says of its model, as JSON.

Runs in the framework's environment: python describe.py FILE ANSWER.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 loads its constants by pickle

from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.utils import _EAGER_MODEL_KEY
from nequip.nn.embedding.utils import cutoff_str_to_fulldict
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.global_state import set_global_state


def main() -> None:
    """Write the types, and cutoffs by centre and neighbour."""
    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    metadata = load_saved_model(Path(sys.argv[1]), _EAGER_MODEL_KEY, "sole_model").metadata
    names = str(metadata["type_names"]).split()
    r_max = float(metadata["r_max"])
    cutoffs = {a: dict.fromkeys(names, r_max) for a in names}
    if metadata.get("per_edge_type_cutoff"):
        cutoffs = cutoff_str_to_fulldict(metadata["per_edge_type_cutoff"], names)
    facts = {"type_names": names, "r_max": r_max, "cutoffs": cutoffs}
    Path(sys.argv[2]).write_text(json.dumps(facts, default=float))


if __name__ == "__main__":
    main()
