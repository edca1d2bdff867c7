"""The notebooks of the docs run, and hold the outputs that they show."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.reference import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(path, as_version=4)
    texts = [printed(notebook)]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts.append(printed(notebook))
    assert texts[0], "the notebook is stored without outputs"
    if path.stem == "structures":  # exact numbers; those of a run differ between processors
        assert texts[0] == texts[1]


def printed(notebook: nbformat.NotebookNode) -> str:
    """All that the cells print; a kernel divides it into pieces as it likes."""
    return "".join(
        output["text"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )
