"""What a checkpoint or package of nequip adds to the energy of each element's atoms, as JSON.

Runs in the framework's environment: python element_shifts.py FILE ANSWER.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 loads its constants by pickle

from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.utils import _EAGER_MODEL_KEY
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.global_state import set_global_state


def main() -> None:
    """Write the energy of each element [eV]; nothing where the model has none."""
    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    model = load_saved_model(Path(sys.argv[1]), _EAGER_MODEL_KEY, "sole_model")
    names = str(model.metadata["type_names"]).split()
    found = {}
    # by name: a package brings its own copy of nequip
    for module in model.modules():
        if type(module).__name__ == "PerTypeScaleShift" and module.has_shifts:
            values = module.shifts.detach().cpu().reshape(-1).tolist()
            values = values if len(values) > 1 else values * len(names)
            found = dict(zip(names, values, strict=True))
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
