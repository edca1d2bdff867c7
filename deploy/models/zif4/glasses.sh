#!/bin/bash
# Tables 2 and 3 of Castel et al. 2024 with a model of ours, in cells of 272 atoms: bulk modulus and density at zero
# pressure of the crystal, of ten melt-quenched and of the ten ab initio glasses; elastic constants by fluctuations.
#   glasses.sh OUT MODEL AB_INITIO        AB_INITIO: folder with the ab initio glasses, *.lmp
# Two runs at a time, one thread each. Killed or ended, it goes on where it was. The paper's own schedule takes a GPU:
#   RATE=20 PLATEAU=50 HOT=1500 SAMPLE=100 NS=5 glasses.sh ...
set -euo pipefail
out=$1 model=$2 ab_initio=$3
rate=${RATE:-100} hot=${HOT:-1500} plateau=${PLATEAU:-100} sample=${SAMPLE:-10} ns=${NS:-0.3}
workers=${WORKERS:-2}

ensemble() { # name, protocol, options: written once, run to its end
  local name=$1
  shift
  [ -d "$out/$name" ] || mofmd ensemble new "$out/$name" "$@" --model "$model" --supercell 1x1x1
  mofmd ensemble run "$out/$name" --workers "$workers"
  mofmd ensemble collect "$out/$name"
}

mkdir -p "$out"
# P(V) at 300 K. 1 fs: a third of what the fastest vibration would bear; half of the steps
strain=(finite_strain --set timestep_fs=1 --set deformation_ps=1 --set "equilibration_ps=$((sample / 5))")
ensemble crystal "${strain[@]}" --structure zif-4 --members 2 --set "sampling_ps=$((4 * sample))" \
  --set "volume_ratios=[1.0,1.015,1.03,1.045,1.06]"
ensemble ab-initio "${strain[@]}" --structures "$ab_initio/*.lmp" --set "sampling_ps=$sample"
ensemble melt-quench melt_quench --structure zif-4 --members 10 --set equilibration_ps=1 --set anneal_ps=10 \
  --set "rate_K_per_ps=$rate" --set "temperature_max_K=$hot" --set "plateau_ps=$plateau"
ensemble melt-quenched "${strain[@]}" --structures "$out/melt-quench/members/*/final.data" --set "sampling_ps=$sample"
ensemble fluctuation strain_fluctuation --structure zif-4 --members 2 --set timestep_fs=1 \
  --set "time_ps=$(python3 -c "print($ns * 1000)")" --set equilibration_ps=20
