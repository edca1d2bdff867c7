"""What SevenNet itself takes for an evaluation (runs in its environment; see ``universal.py``).

Usage: python sevennet_calls.py calculator|torchscript CHECKPOINT MODALITY STRUCTURE ANSWER.json

MODALITY is - where the model has one only. ``torchscript`` is the file of SevenNet's own
deployment, called as its pair style calls it.
"""

import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from ase import Atoms
from ase.io import read
from sevenn import _keys as keys
from sevenn.calculator import SevenNetCalculator
from sevenn.scripts.deploy import deploy
from sevenn.train.dataload import unlabeled_atoms_to_graph

CALLS = 2


def calculator(checkpoint: str, modality: str | None, atoms: Atoms) -> Callable[[], None]:
    """Return an evaluation by SevenNetCalculator."""
    atoms.calc = SevenNetCalculator(checkpoint, device="cpu", modal=modality)

    def evaluate() -> None:
        atoms.calc.results.clear()
        atoms.calc.calculate(atoms, ["energy", "forces", "stress"])

    return evaluate


def torchscript(checkpoint: str, modality: str | None, atoms: Atoms) -> Callable[[], None]:
    """Return an evaluation by SevenNet's TorchScript file: energies, gradients of the edges."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "deployed.pt")
        deploy(checkpoint, file, modality)
        extra = {"chemical_symbols_to_index": "", "cutoff": ""}
        model = torch.jit.load(file, _extra_files=extra)
    torch.jit.set_fusion_strategy([("DYNAMIC", 0)])
    names = extra["chemical_symbols_to_index"].decode().split()
    graph = unlabeled_atoms_to_graph(atoms, float(extra["cutoff"]))
    types = torch.tensor([names.index(symbol) for symbol in atoms.symbols])

    def evaluate() -> None:
        vectors = torch.tensor(graph[keys.EDGE_VEC], dtype=torch.float32, requires_grad=True)
        out = model(
            {
                keys.NODE_FEATURE: types,
                keys.EDGE_IDX: torch.tensor(graph[keys.EDGE_IDX]),
                keys.EDGE_VEC: vectors,
                keys.NUM_ATOMS: torch.tensor(len(atoms)),
            }
        )
        torch.autograd.grad([out[keys.PRED_TOTAL_ENERGY]], [vectors])

    return evaluate


def main() -> None:
    """Measure and write processor time (ms) and peak memory (MiB)."""
    kind, checkpoint, modality, structure, answer = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    prepare = {"calculator": calculator, "torchscript": torchscript}[kind]
    evaluate = prepare(checkpoint, None if modality == "-" else modality, read(structure))
    evaluate()
    times = []
    for _ in range(CALLS):
        start = time.process_time()
        evaluate()
        times.append(1e3 * (time.process_time() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(answer).write_text(json.dumps({"ms": min(times), "MiB": peak}))


if __name__ == "__main__":
    main()
