"""The commands that README and docs show: which run in the tests, with what changed, and which not.

``tests/installation/test_readme.py`` runs them in a fresh install, in the order in which they are
shown. Every command of a page is in this table, so that none is shown that nobody has thought of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.reference import REPOSITORY

# a schedule of 120 steps in place of the paper's
SHORT = (
    " --set temperature_max_K=300.2 --set plateau_ps=0.01 --set equilibration_ps=0.01"
    " --set anneal_ps=0.02 --set frame_interval_fs=5 --set 'supercell=[1,1,1]'"
    " --set minimise_steps_max=2"
)
INSTALL = "tests/fresh_install.py does it, with what the environment of the tests has"
FROM_CIF = "docs/from_cif.md shows it too, and its commands are run"
VARIANTS = "takes hours; tests/report/test_mechanics.py runs them on argon"
REFERENCES = "tests/phonons/test_reference_methods.py runs these on small crystals"
LEARNING = "tests/learning runs these on small sets"


@dataclass(frozen=True)
class Elsewhere:
    """A command that is not run as it is shown; why, and what runs instead."""

    reason: str


@dataclass(frozen=True)
class Shown:
    """A command that runs.

    Parameters
    ----------
    changes
        What is replaced in it, so that it takes seconds.
    added
        What is put at its end.
    """

    changes: tuple[tuple[str, str], ...] = ()
    added: str = ""

    def words(self, command: str) -> str:
        """Return what is run."""
        for old, new in self.changes:
            assert old in command
            command = command.replace(old, new)
        return command + self.added


AS_IT_IS = Shown()
README: dict[str, Shown | Elsewhere] = {
    "make demo": Elsewhere("minutes; tests/installation/test_demo.py runs a shorter one"),
    "make test": Elsewhere("runs these tests"),
    "python -m venv .venv && . .venv/bin/activate": Elsewhere(INSTALL),
    "pip install torch==2.13.0": Elsewhere(INSTALL),
    "pip install .": Elsewhere(INSTALL),
    "mofmd build": AS_IT_IS,
    "mofmd doctor": AS_IT_IS,
    "mofmd --install-completion": Elsewhere(
        "changes files of the user's shell; tests/installation/test_command_line.py completes"
    ),
    "mofmd deploy my-model.ckpt -o my-model.mofmd.pth": Elsewhere(
        "takes minutes and an environment of nequip; tests/engine/test_deploy.py deploys"
    ),
    "mofmd models show my-model.mofmd.pth": AS_IT_IS,
    "mpirun -n 4 lmp -in in.file": AS_IT_IS,
    "mofmd generate npt --structure my-mof.cif --model sevennet-l3i5 -o first --supercell 1x1x1": (
        Elsewhere(FROM_CIF)
    ),
    "mofmd run first": Elsewhere(FROM_CIF),
    "mofmd models list": AS_IT_IS,
    "mofmd generate melt_quench --structure my-zif.cif --model my-model.mofmd.pth -o glass": (
        Shown(added=SHORT)
    ),
    "mofmd run glass --ranks 4": AS_IT_IS,
    "mofmd status glass": AS_IT_IS,
    "mofmd run glass --ranks 4 --resume": AS_IT_IS,
    "mofmd ensemble new glasses melt_quench --structure zif-4 --model zif4-nequip-s --members 10 "
    "--vary rate_K_per_ps=10,20": Shown((("--members 10", "--members 1"),), SHORT),
    "mofmd ensemble run glasses --workers 4": AS_IT_IS,
    "mofmd report glasses -o report": Shown(added=" --observables rdf,density"),
    "mofmd learn distil distil.yaml -o distil": Elsewhere(LEARNING),
    "mofmd bench my-model.mofmd.pth my-zif.cif --ranks 1 --ranks 4": Shown(added=" --seconds 0.2"),
}
DEFECTS: dict[str, Shown | Elsewhere] = {
    "mofmd defects ld uio-66 -o ld.extxyz": AS_IT_IS,
    "mofmd defects ld-2 uio-66 -o ld-2": AS_IT_IS,
    "mofmd defects hf uio-66 -o hf.cif": AS_IT_IS,
    "mofmd defects reo uio-66 -o reo.data": AS_IT_IS,
    "mofmd defects bcu uio-66 --axis z -o bcu.extxyz": AS_IT_IS,
    "mofmd defects scu uio-66 -o scu.extxyz": AS_IT_IS,
    "mofmd defects random uio-66 --supercell 4x4x4 --nodes .1 --linkers .2 --metal Hf=.2 --seed 1 "
    "-o sup.extxyz": AS_IT_IS,
    "mofmd defects random uio-66 --supercell 4x4x4 --nodes 34 --linkers 611 --metal Hf=.21 "
    "--seed 1 -o sup.extxyz": AS_IT_IS,
    "mofmd defects characterise ld.extxyz reo.data sup.extxyz --pristine uio-66": AS_IT_IS,
    "mofmd learn cut ld.extxyz --element Zr -o clusters.extxyz": AS_IT_IS,
}
DENSITY: dict[str, Shown | Elsewhere] = {
    "mofmd learn density fit data/train.extxyz --model my-model.mofmd.pth -o known.mofmd.pth": (
        Shown((("data/train.extxyz", "ab_initio.extxyz"),), " --quantile .9")
    ),
    "mofmd learn density score frames.extxyz --model known.mofmd.pth -o scored.extxyz": (
        Shown((("frames.extxyz", "ab_initio.extxyz"),))
    ),
    "mofmd learn cut scored.extxyz --reference crystal.cif --column novelty --above 1 "
    "-o new.extxyz": Elsewhere("cuts carboxylates; tests/builders/test_clusters.py"),
    "mofmd generate nvt --structure my-zif.cif --model known.mofmd.pth --watch every=20 "
    "-o watched": Shown(
        added=" --set time_ps=.02 --set 'supercell=[1,1,1]' --set minimise_steps_max=2"
    ),
    "mofmd run watched": AS_IT_IS,
}
ANALYSIS: dict[str, Shown | Elsewhere] = {
    "mofmd analyse RUN -o OUT --observables rdf,angles,rings": (
        Shown((("RUN", "glass"), ("OUT", "out"), ("rings", "density")))
    ),
    "mofmd report  RUN -o OUT": (
        Shown((("RUN", "glass"), ("OUT", "out")), " --observables rdf,angles")
    ),
    'mofmd report glasses --observables rdf,scattering --reference "D xray self:glass, '
    '31 °C=ZIF4glassa_31.dofr"': Elsewhere("needs a measured file; tests/report/test_reference.py"),
    "mofmd analyse ab_initio.extxyz --temperature 300 -o ab_initio": (
        Shown(added=" --observables rdf,density")
    ),
    'mofmd report glass --beside "ab initio=ab_initio" --beside '
    '"Castel et al.=published_glass.json"': (
        Shown(
            ((' --beside "Castel et al.=published_glass.json"', ""),),
            " --observables rdf,density -o beside",
        )
    ),
}
UNIVERSAL = (("sevennet-l3i5", "sevennet-0"),)  # the faster one
FROM_CIF_PAGE: dict[str, Shown | Elsewhere] = {
    "mofmd models list": AS_IT_IS,
    "mofmd generate npt --structure my-mof.cif --model sevennet-l3i5 -o first --supercell 1x1x1 "
    "--set time_ps=5": Shown(
        (*UNIVERSAL, ("time_ps=5", "time_ps=0.02")),
        " --set minimise_steps_max=1 --set frame_interval_fs=5",
    ),
    "mofmd run first": AS_IT_IS,
    "mofmd report first -o first-report": Shown(added=" --observables rdf,density"),
    "mofmd relax my-mof.cif --model sevennet-l3i5 -o relaxed.cif --fmax 1e-3": (
        Shown((*UNIVERSAL, ("1e-3", "0.1")))
    ),
    "mofmd ensemble new screen equation_of_state --structures 'cifs/*.cif' --model sevennet-l3i5": (
        Shown(UNIVERSAL, " --set points=5 --set fmax_eV_per_A=0.2 --set precision=file")
    ),
    "mofmd ensemble run screen --workers 2": AS_IT_IS,
    "mofmd ensemble collect screen": AS_IT_IS,
    "mofmd report screen -o screen-report": AS_IT_IS,
    "mofmd learn sample runs.yaml --model sevennet-l3i5 -o sampled --every 10": (
        Shown((*UNIVERSAL, ("--every 10", "--every 1")))
    ),
    "mofmd learn label sampled/frames.extxyz --labeller sevennet-l3i5+auto --workers 2 "
    "-o labelled.extxyz": Shown(UNIVERSAL),
    "mofmd learn split labelled.extxyz -o data": Shown(added=" --val .25 --test .25"),
    "mofmd learn train --family nequip --size s --data data --epochs 50 -o training": Elsewhere(
        "a model that passes its gate takes many frames; tests/learning/test_learning_training.py"
    ),
    "mofmd learn evaluate training/model.mofmd.pth sevennet-l3i5 --frames data/test.extxyz "
    "--dispersion auto -o evaluation": Shown(UNIVERSAL),
    "mofmd generate npt --structure my-mof.cif --model training/model.mofmd.pth -o second": (
        Shown(added=" --supercell 1x1x1 --set time_ps=0.01 --set minimise_steps_max=1")
    ),
    "mofmd run second": AS_IT_IS,
}
BROUGHT = "its weights are not here; tests/engine/test_foundation.py deploys the same layers"
MODEL_FILES: dict[str, Shown | Elsewhere] = {
    "mofmd deploy SOURCE -o FILE.mofmd.pth": Elsewhere("tests/engine/test_deploy.py deploys"),
    "mofmd verify FILE [--structure S]": (
        Shown((("FILE [--structure S]", "my-model.mofmd.pth"),), " --ranks 1")
    ),
    "mofmd models show FILE [--json]": (
        Shown((("FILE [--json]", "my-model.mofmd.pth --json"),), " > manifest.json")
    ),
    "mofmd models list": AS_IT_IS,
    "mofmd models make sevennet-0": Elsewhere(
        "takes minutes; tests/engine/test_model_names.py makes it"
    ),
    "mofmd deploy mace-mpa-0-medium.model -o mpa-0.mofmd.pth": Elsewhere(BROUGHT),
    "mofmd deploy MACE-MP-MOF0.model --head NAME -o mof0.mofmd.pth": Elsewhere(BROUGHT),
    "mofmd deploy NequIP-OAM-L-0.1.nequip.zip -o oam-l.mofmd.pth": Elsewhere(BROUGHT),
}
PROTOCOLS: dict[str, Shown | Elsewhere] = {
    "mofmd generate melt_quench --structure zif-4 --model zif4-nequip-s -o glass": (
        Shown(added=SHORT)
    ),
    "mofmd run glass --ranks 2": AS_IT_IS,
    "mofmd run glass --ranks 2 --resume": AS_IT_IS,
    "mofmd ensemble new glasses melt_quench --structure zif-4 --model zif4-nequip-s "
    "--members 10": Shown((("--members 10", "--members 1"),), SHORT),
    "mofmd ensemble run glasses --workers 4": AS_IT_IS,
    "mofmd ensemble new screen equation_of_state --structures 'cifs/*.cif' --model sevennet-l3i5": (
        Elsewhere(FROM_CIF)
    ),
    "mofmd ensemble run screen --workers 4": Elsewhere(FROM_CIF),
    "mofmd ensemble collect screen": Elsewhere(FROM_CIF),
    "mofmd report screen -o screen-report": Elsewhere(FROM_CIF),
    "mofmd ensemble new ev equation_of_state --structures 'variants/*.extxyz' --model "
    "my-model.mofmd.pth --set shape=free --set 'volume_ratios=[0.92,0.94,0.96,0.98,1.0,1.02]'": (
        Elsewhere(VARIANTS)
    ),
    "mofmd ensemble new grid pressure_grid --structures 'variants/*.extxyz' --model "
    "my-model.mofmd.pth": Elsewhere(VARIANTS),
    "mofmd ensemble new volumes volume_grid --structures 'variants/*.extxyz' --model "
    "my-model.mofmd.pth": Elsewhere(VARIANTS),
    "mofmd mechanics ev grid volumes -o mechanics --published paper.csv": Elsewhere(VARIANTS),
}
RELAX: dict[str, Shown | Elsewhere] = {
    "mofmd relax zif-4 --model zif4-mace-m -o zif4.cif --fmax 1e-5": AS_IT_IS,
    "mofmd relax my.cif --model model.pth -o relaxed --cell iso --pressure 0.5 --symmetry": (
        Shown((("my.cif", "my-zif.cif"), ("model.pth", "my-model.mofmd.pth")), " --fmax 0.05")
    ),
    "mofmd relax my.cif --model gfn1-xtb -o gfn1 --cell fixed": Elsewhere(REFERENCES),
}
PHONONS_RUN = "minutes on 272 atoms; tests/phonons runs it on small crystals and, long, on ZIF-4"
PHONONS: dict[str, Shown | Elsewhere] = {
    "pip install 'mofmd[phonons]'": Elsewhere(INSTALL),
    "mofmd models list": AS_IT_IS,
    "mofmd phonons run zif-4 --model zif4-nequip-s --supercell 1x1x1 --symmetry "
    "--mesh 3x3x3 -o phonons": Elsewhere(PHONONS_RUN),
    "mofmd phonons run zif-4 --model zif4-nequip-s --supercell 2x2x2 --symmetry "
    "--mesh 3x3x3 -o phonons-2x2x2": Elsewhere(PHONONS_RUN),
    "mofmd phonons converge phonons phonons-2x2x2 --mesh 3x3x3 -o convergence": (
        Elsewhere(PHONONS_RUN)
    ),
    "mofmd phonons bands phonons -o finer --mesh 7x7x5 --velocities": Elsewhere(PHONONS_RUN),
    "mofmd phonons run zif-4 --model zif4-mace-m --supercell 1x1x1 --symmetry "
    "--mesh 3x3x3 -o phonons-mace": Elsewhere(PHONONS_RUN),
    "mofmd phonons compare phonons phonons-mace --mesh 3x3x3 -o compared": Elsewhere(PHONONS_RUN),
    "mofmd phonons converge phonons-1x1x1 phonons-2x2x2 -o convergence": Elsewhere(PHONONS_RUN),
    "mofmd phonons run my.cif --model my_module:my_calculator --supercell 1x1x1 -o reference": (
        Elsewhere(REFERENCES)
    ),
    "mofmd phonons run my.cif --model gfn1-xtb --supercell 1x1x1 --cell fixed -o gfn1": (
        Elsewhere(REFERENCES)
    ),
    "mofmd phonons compare phonons gfn1": Elsewhere(REFERENCES),
    "mofmd phonons imaginary my.cif --model model.pth --way rattle -o stable": (
        Elsewhere(PHONONS_RUN)
    ),
    "mofmd phonons qha zif-4 --model zif4-nequip-s --supercell 1x1x1 --symmetry -o expansion": (
        Elsewhere(PHONONS_RUN)
    ),
    "mofmd phonons elastic zif-4 --model zif4-nequip-s -o elastic --beside phonons": (
        Elsewhere(PHONONS_RUN)
    ),
    "mofmd phonons sscha phonons --model my.mofmd.pth --temperature 300 -o sscha-300": (
        Elsewhere(PHONONS_RUN)
    ),
    "mofmd generate nvt --structure phonons/relax/relaxed.cif --model my.mofmd.pth "
    "--supercell 1x1x1 -o nvt-300": Elsewhere(PHONONS_RUN),
    "mofmd run nvt-300": Elsewhere(PHONONS_RUN),
    "mofmd phonons md phonons nvt-300 --model my.mofmd.pth -o md-300": Elsewhere(PHONONS_RUN),
    "mofmd generate nve --structure phonons/relax/relaxed.cif --model my.mofmd.pth "
    "--supercell 1x1x1 --set frame_interval_fs=2.5 -o nve-300": Elsewhere(PHONONS_RUN),
    "mofmd run nve-300": Elsewhere(PHONONS_RUN),
    "mofmd phonons vdos md-300 nve-300 -o vdos --top 6": Elsewhere(PHONONS_RUN),
    "mofmd phonons bands MOF-5_mof0_phonopy.yaml.xz -o mof-5 --no-sum-rule --mesh 11x11x11": (
        Elsewhere("needs the authors' file; tests/phonons/test_exact.py runs it where it is there")
    ),
    "mofmd phonons compare MOF-5_mof0_phonopy.yaml.xz published.npz --no-sum-rule": (
        Elsewhere("needs the authors' file; tests/phonons/test_exact.py runs it where it is there")
    ),
    "mofmd phonons run zif-4 --model zif4-nequip-s --supercell 1x1x1 --symmetry "
    "--lanes 2 --mesh 3x3x3 -o zif4-1x1x1": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons run zif-4 --model zif4-nequip-s --supercell 2x2x2 --symmetry "
    "--lanes 2 --mesh 3x3x3 -o zif4-2x2x2": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons run MOF-5_dft_primitive.extxyz --model sevennet-l3i5 --supercell "
    "1x1x1 --symmetry --mesh 11x11x11 -o mof-5-l3i5": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons run MOF-5_dft_primitive.extxyz --model gfn1-xtb --cell fixed "
    "--supercell 1x1x1 --symmetry --mesh 1x1x1 -o mof-5-gfn1": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons compare mof-5-l3i5 MOF-5_dft_total_dos.npz --top 6": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons compare mof-5-l3i5 MOF-5_mof0.npz --top 6": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons compare mof-74-l3i5 MOF-74_dft_primitive.extxyz": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons imaginary NOTT-300.cif --model sevennet-l3i5 --way rattle "
    "--supercell 1x1x1 -o nott-300": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons qha zif-4 --model zif4-nequip-s --supercell 1x1x1 --symmetry "
    "--beside npt-300 --beside measured.csv -o expansion": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons qha uio-66.cif --model sevennet-l3i5 --supercell 2x2x2 --symmetry "
    "--lanes 2 --strain=-0.01:0.03 -o uio-66": (Elsewhere(PHONONS_RUN)),
    "mofmd phonons sscha zif4-1x1x1 --model zif4-mace-s --temperature 100 --lanes 2 "
    "--mesh 1x1x1 -o sscha-100": (Elsewhere(PHONONS_RUN)),
}
STRUCTURES: dict[str, Shown | Elsewhere] = {
    "mofmd generate nvt --structure two.cif#second --model zif4-nequip-s -o deck": AS_IT_IS,
    "mofmd analyse relaxation.extxyz#-1 --observables rings": (
        Shown((("rings", "density"),), " -o relaxed")
    ),
    "mofmd convert uio-66 --primitive -o pr.extxyz": AS_IT_IS,
    "mofmd convert uio-66 --primitive --supercell 2x2x2 -o larger.data": AS_IT_IS,
}
PAGES: dict[str, dict[str, Shown | Elsewhere]] = {
    "README.md": README,
    "docs/analysis.md": ANALYSIS,
    "docs/defects.md": DEFECTS,
    "docs/density.md": DENSITY,
    "docs/from_cif.md": FROM_CIF_PAGE,
    "docs/model_files.md": MODEL_FILES,
    "docs/phonons.md": PHONONS,
    "docs/protocols.md": PROTOCOLS,
    "docs/relax.md": RELAX,
    "docs/structures.md": STRUCTURES,
}
LEARNING_PAGE = "docs/learning.md"  # all of its commands are run elsewhere: see LEARNING


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language; "" for those that name none."""
    text = (REPOSITORY / page).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def commands(page: str) -> Iterator[str]:
    """Yield the commands that a page shows, without their comments."""
    for block in blocks(page, ""):
        for line in block.splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            if re.match(r"(mofmd|make|pip|python|lmp|mpirun) ", command):
                yield command


def pages() -> list[str]:
    """Return the pages that show commands."""
    names = [
        "README.md",
        *(f"docs/{file.name}" for file in sorted(Path(REPOSITORY, "docs").glob("*.md"))),
    ]
    return [name for name in names if list(commands(name))]
