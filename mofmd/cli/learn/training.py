"""``mofmd learn``: training, evaluation, and the loop of all steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mofmd.cli.learn.learn import Output, Seed, app, read_all
from mofmd.models.names import find_model

Family = Literal["allegro", "nequip", "mace", "sevennet"]


@app.command()
def train(
    output: Output,
    family: Annotated[Family | None, typer.Option(help="Needed for a new training.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with train.extxyz and val.extxyz.")
    ] = None,
    size: Annotated[str, typer.Option(help="One of the sizes in the configuration.")] = "s",
    epochs: Annotated[int | None, typer.Option(help="Passes through the data.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Weights of the same family to go on from, or a universal SevenNet's name."
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Labelled frames that --start knows already, learned by a second head so that it "
            "does not forget them (mace)."
        ),
    ] = None,
    pseudo: Annotated[
        bool, typer.Option("--pseudo", help="Let --start itself label the frames to replay.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Your own configuration.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the configuration; repeatable.")
    ] = None,
    stress: Annotated[
        bool, typer.Option(help="Learn stresses; without, the model's pressures are not trained.")
    ] = True,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of the trainer.")] = 1,
    fused: Annotated[
        bool, typer.Option(help="mofmd's convolution, but for Allegro: the same, faster.")
    ] = True,
    seed: Seed = 1,
    structure: Annotated[
        Path | None, typer.Option(help="Structure for the physics gate; default: a small one.")
    ] = None,
    level_of_theory: Annotated[
        str | None,
        typer.Option(
            help="Of the labels, for the manifest: pbe (without dispersion), pbe+d3bj:pbe; "
            "default: what the frames say."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="For the manifest.")] = None,
    licence: Annotated[str | None, typer.Option(help="For the manifest.")] = None,
    cite: Annotated[list[str] | None, typer.Option(help="For the manifest; repeatable.")] = None,
) -> None:
    """Train with the framework itself; a folder that holds a training is resumed.

    Examples
    --------
    mofmd learn train -o training --family allegro --data data --epochs 40
    mofmd learn train -o training    # goes on
    mofmd learn train -o tuned --family mace --data new --start old.model --replay old.extxyz
    mofmd learn train -o tuned --family sevennet --data new --start sevennet-0 --epochs 20
    """
    from mofmd.cli.models.verify import read_structures
    from mofmd.errors import InputError, in_command
    from mofmd.learning.data.dataset import read_frames
    from mofmd.learning.train.options import TrainOptions
    from mofmd.learning.train.training import (
        RECORD,
        deploy_training,
        prepare_training,
        read_record,
        run_training,
    )
    from mofmd.models.deploy.options import Options
    from mofmd.models.dispersion.theory import parse_theory

    theory = None if level_of_theory is None else parse_theory(level_of_theory)
    if not (output / RECORD).exists():
        if family is None or data is None:
            raise InputError(f"{output}: holds no training yet: give --family and --data")
        options = TrainOptions(
            family=family,
            size=size,
            epochs=epochs,
            seed=seed,
            start=start,
            replay=replay,
            pseudo=pseudo,
            config=config,
            settings=tuple(settings or ()),
            stress=stress,
            device=device,
            threads=threads,
            level_of_theory=level_of_theory,
            fused=fused,
        )
        train_frames, val_frames = (
            read_frames(data / f"{part}.extxyz") for part in ("train", "val")
        )
        prepare_training(output, train_frames, val_frames, options, typer.echo)
    else:
        begun = read_record(output)["options"]["family"]
        if family not in (None, begun):
            raise InputError(f"{output}: holds a training of {begun}; take another folder")
        typer.echo(f"{output}: goes on with the options that it was begun with")
    run_training(output, typer.echo)
    made = deploy_training(
        output,
        Options(
            name=name,
            licence=licence,
            citations=tuple(cite or ()),
            level_of_theory=theory,
            structures=read_structures(structure),
        ),
        typer.echo,
    )
    typer.echo(
        f"{made.path}: passed the physics gate; see it with "
        f"`mofmd models show {in_command(made.path)}`"
    )


@app.command()
def evaluate(
    models: Annotated[
        list[Path], typer.Argument(help="Model files, or names (mofmd models list).")
    ],
    frames: Annotated[list[Path], typer.Option(help="Labelled frames; repeatable.")],
    output: Output,
    threads: Annotated[int, typer.Option(help="Threads.")] = 1,
    time_on: Annotated[
        str | None, typer.Option(help="Measure ms/step on this structure, such as zif-4.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each of three timing runs.")] = 10.0,
    stress: Annotated[bool, typer.Option(help="Each periodic frame must have a stress.")] = True,
    dispersion: Annotated[
        str, typer.Option(help="Added to the models: d3bj:pbe, auto (what a file lacks), none.")
    ] = "none",
) -> None:
    """Compare models with labels: tables, parity plots, front of speed and accuracy.

    Examples
    --------
    mofmd learn evaluate zif4-nequip-s mine.mofmd.pth --frames test.extxyz -o evaluation
    """
    from dataclasses import replace

    from mofmd.engine.launch import Resources
    from mofmd.learning.data.validation import Expectation, check_frames
    from mofmd.learning.evaluate.evaluation import (
        evaluate_model,
        markdown,
        model_names,
        table_rows,
        time_model,
        write_evaluation,
    )
    from mofmd.learning.evaluate.figures import write_figures
    from mofmd.models.dispersion.dispersion import choose_dispersion, parse_dispersion
    from mofmd.models.files.validity import check_suits
    from mofmd.structures.read import read_structure

    found = read_all(frames)
    check_frames(found, Expectation(needs_stress=stress))
    results = []
    files = [find_model(model) for model in models]
    for file in files:
        check_suits(file, found)
    for model, name in zip(files, model_names(files), strict=True):
        added = choose_dispersion(parse_dispersion(dispersion), model)
        result = replace(evaluate_model(model, found, threads, added), name=name)
        if added is not None:
            typer.echo(f"{name}: with {added}")
        if time_on is not None:
            resources = Resources(threads=threads)
            ms, how = time_model(model, read_structure(time_on), resources, seconds)
            result = replace(result, ms_per_step=ms, timing=how)
        results.append(result)
        typer.echo(f"{result.name}: force MAE {result.errors.force_mae:.1f} meV/Å")
    dataset = ", ".join(file.name for file in frames)
    write_evaluation(results, output, dataset)
    write_figures(results, [len(frame) for frame in found], output)
    typer.echo(markdown(table_rows(results)) + f"written: {output}")


@app.command()
def forgetting(
    before: Annotated[Path, typer.Argument(help="The model that was gone on from, deployed.")],
    after: Annotated[
        list[Path], typer.Argument(help="What was made of it: fine-tuned models, each head's file.")
    ],
    frames: Annotated[
        list[Path],
        typer.Option(help="Labelled frames of one domain, the old and the new one; repeatable."),
    ],
    output: Output,
    threads: Annotated[int, typer.Option(help="Threads.")] = 1,
    stress: Annotated[bool, typer.Option(help="Each periodic frame must have a stress.")] = True,
) -> None:
    """Table of what a fine-tuned model has learned and what it has forgotten: errors by domain.

    Examples
    --------
    mofmd learn forgetting old.mofmd.pth tuned/model.mofmd.pth --frames old.extxyz -o forgetting
    """
    from mofmd.errors import InputError
    from mofmd.learning.data.validation import Expectation, check_frames
    from mofmd.learning.evaluate.evaluation import distinct, markdown
    from mofmd.learning.evaluate.forgetting import compare_domains, domain_rows, write_domains

    names = distinct([path.stem for path in frames], [path.resolve().parent for path in frames])
    if twice := sorted({str(path) for path in frames if frames.count(path) > 1}):
        raise InputError(f"frames: {twice[0]} is given twice")
    sets = {name: read_all([path]) for name, path in zip(names, frames, strict=True)}
    for found in sets.values():
        check_frames(found, Expectation(needs_stress=stress))
    domains = compare_domains(
        find_model(before), [find_model(path) for path in after], sets, threads
    )
    write_domains(domains, output)
    typer.echo(markdown(domain_rows(domains)) + f"written: {output}")


@app.command()
def curves(
    trainings: Annotated[list[Path], typer.Argument(help="Folders of trainings.")],
    output: Output,
    test: Annotated[
        list[Path] | None, typer.Option(help="Labelled frames, for errors against training size.")
    ] = None,
) -> None:
    """Draw learning curves: against epochs, with --test also against training frames.

    Examples
    --------
    mofmd learn curves training -o curves --test test.extxyz
    """
    from mofmd.learning.evaluate.curves import write_curves

    for path in write_curves(trainings, read_all(test or []), output):
        typer.echo(str(path))


@app.command("compare-picking")
def compare_picking(
    config: Annotated[Path, typer.Argument(help="YAML file.")],
    output: Output,
) -> None:
    """Learning curves over added frames: as found by density, random, farthest points; resumable.

    Examples
    --------
    mofmd learn compare-picking picking.yaml -o picking    # again: goes on
    """
    from mofmd.learning.loops.picking_config import read_picking_config
    from mofmd.learning.loops.picking_curves import compare_picking as compare

    typer.echo(f"written: {compare(read_picking_config(config), output, typer.echo)}")


@app.command()
def distil(
    config: Annotated[Path, typer.Argument(help="YAML file.")],
    output: Output,
) -> None:
    """Train, run, find where the model fails, label that, train again; resumable at each stage.

    Examples
    --------
    mofmd learn distil distil.yaml -o distil    # again: goes on
    """
    from mofmd.learning.loops.config import read_distil_config
    from mofmd.learning.loops.distil import Distillation

    work = Distillation(output, read_distil_config(config), typer.echo)
    work.run()
    for entry in work.state["history"]:
        typer.echo(
            f"round {entry['round']}: {entry['training_frames']} frames, force MAE "
            f"{entry['force_mae']:.1f} meV/Å, {entry.get('broken', '?')} of "
            f"{entry.get('runs', '?')} runs broke"
        )
