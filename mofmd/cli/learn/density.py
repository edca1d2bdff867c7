"""``mofmd learn density``: how new the surroundings of atoms are to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mofmd.cli.base.app import App
from mofmd.cli.learn.learn import Frames, Seed, read_all
from mofmd.errors import InputError
from mofmd.models.names import find_model

if TYPE_CHECKING:
    import numpy as np

    from mofmd.calculator.density.mixture import Mixture

app = App(
    no_args_is_help=True,
    help="How new the surroundings of atoms are to a model: fit, score.",
)

Model = Annotated[Path, typer.Option(help="Model file of mofmd deploy, or one in the package.")]


@app.command()
def fit(
    frames: Frames,
    model: Model,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The model file with the density; may be the same."),
    ],
    held_out: Annotated[
        list[Path] | None,
        typer.Option(help="Frames that say what is ordinary, apart from FRAMES; repeatable."),
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(help="Or so large a share, the last of each trajectory. [default: 0.25]"),
    ] = None,
    dims: Annotated[
        int, typer.Option(min=0, help="Principal axes of an element's features; 0: all.")
    ] = 8,
    components: Annotated[
        int, typer.Option(min=1, help="Most Gaussians of an element; the BIC chooses.")
    ] = 16,
    quantile: Annotated[
        float, typer.Option(help="Of held-out atoms: the rarity whose score is 1.")
    ] = 0.999,
    seed: Seed = 0,
) -> None:
    """Fit the density of a model's features to the frames that it was trained on.

    The density travels inside the model file; forces do not change.

    Examples
    --------
    mofmd learn density fit data/train.extxyz --model model.mofmd.pth -o known.mofmd.pth
    """
    from mofmd.calculator.density.density import one_in
    from mofmd.learning.density.fit import FitOptions
    from mofmd.learning.density.model_density import deal_out, fit_density, write_density

    if held_out and hold_out is not None:
        raise InputError("hold-out: given together with --held-out; choose one of them")
    options = FitOptions(dims or None, components, quantile, seed=seed)
    file = find_model(model)
    training = read_all(frames)
    if held_out:
        others = read_all(held_out)
    else:
        training, others = deal_out(training, 0.25 if hold_out is None else hold_out)
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder")

    def tell(element: str, mixture: Mixture) -> None:
        typer.echo(
            f"{element}: {mixture.components} Gaussians in {mixture.dimensions} dimensions; "
            f"-ln p of held-out atoms {mixture.median:.2f}, 1 in "
            f"{one_in(quantile)} above {mixture.limit:.2f}"
        )

    density = fit_density(file, training, others, options, tell)
    write_density(file, density, output)
    typer.echo(f"{output}: density of {len(training)} frames, held out {len(others)}")


@app.command()
def score(
    frames: Frames,
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Extended XYZ with the column novelty."),
    ] = None,
    above: Annotated[float, typer.Option(help="What counts as new.")] = 1.0,
    dtype: Annotated[
        Literal["float32", "float64"] | None, typer.Option(help="To run the network in.")
    ] = None,
) -> None:
    """Score the atoms of frames: 0 is ordinary, 1 rare.

    An element that the density has not seen has inf; one that the network lacks is refused.

    Examples
    --------
    mofmd learn density score md.extxyz --model known.mofmd.pth -o scored.extxyz
    """
    import numpy as np

    from mofmd.calculator.density.scorer import Scorer
    from mofmd.learning.data.dataset import NOVELTY, write_frames

    scorer = Scorer(find_model(model), dtype)
    found = read_all(frames)
    scores: list[np.ndarray] = []
    for frame in found:
        scores.append(scorer.of_atoms(frame))
        frame.set_array(NOVELTY, scores[-1])
    symbols = np.concatenate([np.array(frame.get_chemical_symbols()) for frame in found])
    everything = np.concatenate(scores)
    for element in np.unique(symbols):
        mine = everything[symbols == element]
        typer.echo(
            f"{element}: {(mine > above).sum()} of {len(mine)} atoms above {above:g} "
            f"({100.0 * (mine > above).mean():.2f} %), median {np.median(mine):.2f}, largest "
            f"{mine.max():.2f}"
        )
    if len(found) > 1:
        newest = max(range(len(found)), key=lambda k: scores[k].max())
        atom = int(scores[newest].argmax())
        typer.echo(
            f"newest: atom {atom + 1} ({found[newest].get_chemical_symbols()[atom]}) of frame "
            f"{newest} of {len(found)}; frames with atoms above {above:g}: "
            f"{sum(bool((each > above).any()) for each in scores)}"
        )
    if output is not None:
        write_frames(output, found)
        typer.echo(f"{output}: {len(found)} frames with the column {NOVELTY}")
