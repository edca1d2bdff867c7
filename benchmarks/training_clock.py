"""How long the epochs of a framework's trainer take (runs in its environment; see ``training.py``).

Usage: python training_clock.py ANSWER.json framework|fused nequip|mace|sevennet ARGUMENTS...

Runs the framework's own trainer, or that of ``mofmd_training``, with the arguments, and writes the
seconds of every epoch's training (no validation), of the clock and of the processor, and the peak
memory of the process.
"""

from __future__ import annotations

import atexit
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

epochs: list[tuple[float, float]] = []


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _took(start: tuple[float, float]) -> None:
    epochs.append((time.perf_counter() - start[0], time.process_time() - start[1]))


@contextmanager
def _timed() -> Iterator[None]:
    start = _now()
    yield
    _took(start)


def _clocked(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **options: Any) -> Any:
        with _timed():
            return function(*args, **options)

    return run


def _nequip(fused: bool) -> Callable[[], Any]:
    # which convolutions there are is said by the configuration
    del fused
    import lightning
    from nequip.scripts.train import main

    begun = [_now()]

    def start(*_: Any) -> None:
        begun[0] = _now()

    def end(*_: Any) -> None:
        _took(begun[0])

    fit = lightning.Trainer.fit

    def fit_on_the_clock(trainer: Any, *args: Any, **options: Any) -> Any:
        clock = lightning.Callback()
        clock.on_train_epoch_start, clock.on_train_epoch_end = start, end
        trainer.callbacks.append(clock)
        return fit(trainer, *args, **options)

    lightning.Trainer.fit = fit_on_the_clock
    return main


def _mace(fused: bool) -> Callable[[], Any]:
    from mace.cli import run_train

    train = sys.modules["mace.tools.train"]  # a function of the package has its name
    train.train_one_epoch = _clocked(train.train_one_epoch)
    if not fused:
        return run_train.main
    from mofmd_training.mace import main

    return main


def _sevennet(fused: bool) -> Callable[[], Any]:
    from sevenn.main import sevenn
    from sevenn.train.trainer import Trainer

    run = Trainer.run_one_epoch
    clocked = _clocked(run)

    def run_one_epoch(
        trainer: Any, loader: Any, is_train: bool = False, *args: Any, **options: Any
    ) -> Any:
        return (clocked if is_train else run)(trainer, loader, is_train, *args, **options)

    Trainer.run_one_epoch = run_one_epoch
    if not fused:
        return sevenn.main
    from mofmd_training.sevennet import main

    return main


def _write(answer: Path) -> None:
    if not epochs:
        return  # the trainer failed, and has said so
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock, processor = zip(*epochs, strict=True)
    answer.write_text(json.dumps({"epoch_s": clock, "cpu_s": processor, "MiB": peak}))


def main() -> None:
    """Run the trainer and write what it took."""
    answer, convolutions, framework, *arguments = sys.argv[1:]
    sys.argv = [framework, *arguments]
    atexit.register(_write, Path(answer))
    trainer = {"nequip": _nequip, "mace": _mace, "sevennet": _sevennet}[framework]
    trainer(convolutions == "fused")()


if __name__ == "__main__":
    main()
