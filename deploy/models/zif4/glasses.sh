#!/bin/bash
# Tables 2 and 3 of Castel et al. 2024 with a model of ours, in cells of 272 atoms: bulk modulus and density at zero
# pressure of the crystal, of the ten ab initio and of ten melt-quenched glasses; elastic constants by fluctuations.
#   glasses.sh OUT MODEL AB_INITIO [ENSEMBLE ...]      AB_INITIO: folder with the ab initio glasses, *.lmp
# ENSEMBLE: crystal, ab-initio, melt-quench, melt-quenched, fluctuation; all in this order if none is named.
# Two runs at a time, one thread each. Killed or ended, it goes on where it was. MODEL compiled for this processor takes
# three quarters of the time (README.md, stability.sh). The paper's own schedule takes a GPU:
#   DEFORM=100 EQUILIBRATE=100 SAMPLE=100 RATE=20 PLATEAU=50 NS=5 glasses.sh ...
set -euo pipefail
out=$1 model=$2 ab_initio=$3
shift 3
here=$(dirname "$0")
deform=${DEFORM:-0.5} equilibrate=${EQUILIBRATE:-1} sample=${SAMPLE:-3} ns=${NS:-0.3}
rate=${RATE:-100} hot=${HOT:-1500} plateau=${PLATEAU:-100}
workers=${WORKERS:-2}

ensemble() { # name, protocol, options: written once, run to its end, collected
  local name=$1
  shift
  [ -d "$out/$name" ] || mofmd ensemble new "$out/$name" "$@" --model "$model" --supercell 1x1x1
  mofmd ensemble run "$out/$name" --workers "$workers"
  mofmd ensemble collect "$out/$name"
}

report() { # name, observables, then NAME=FILE of what is laid beside it
  local name=$1 observables=$2 beside=()
  shift 2
  for each in "$@"; do beside+=(--beside "$each"); done
  mofmd report "$out/$name" --observables "$observables" "${beside[@]}" -o "$out/reports/$name"
}

paper() { echo "Castel et al.=$here/published_$1.json"; }

# P(V) at 300 K. 1 fs: a third of what the fastest vibration would bear; half of the steps
strain=(finite_strain --set timestep_fs=1 --set "deformation_ps=$deform" --set "equilibration_ps=$equilibrate" --set "sampling_ps=$sample")

# of the crystal's measured cell; the model's glasses are at rest in larger ones, and P = 0 must lie within
glass_ratios="volume_ratios=[1.06,1.03,1.0,0.97,0.94]"

run() {
  case $1 in
    crystal)
      ensemble crystal "${strain[@]}" --structure zif-4 --members 2 --set "volume_ratios=[0.98,1.01,1.04,1.07,1.10]"
      report crystal density,coordination "$(paper crystal)" "measured=$here/measured_crystal.json"
      ;;
    ab-initio)
      ensemble ab-initio "${strain[@]}" --set "$glass_ratios" --structures "$ab_initio/*.lmp"
      report ab-initio density,coordination,angles,rings,pores "$(paper ab_initio_glass)" "measured=$here/measured_glass.json"
      ;;
    melt-quench)
      # hydrogen bears 1 fs up to 520 K, 0.5 fs up to 2090 K
      ensemble melt-quench melt_quench --structure zif-4 --members 10 --set equilibration_ps=1 --set anneal_ps=8 \
        --set timestep_fs=1 --set temperature_hot_K=500 --set timestep_hot_fs=0.5 --set "rate_K_per_ps=$rate" --set "temperature_max_K=$hot" --set "plateau_ps=$plateau"
      report melt-quench rdf,density,coordination,angles,rings,king,pores "$(paper melt_quenched_glass)"
      ;;
    melt-quenched)
      ensemble melt-quenched "${strain[@]}" --set "$glass_ratios" --structures "$out/melt-quench/members/*/final.data"
      report melt-quenched density,coordination,angles,rings,pores "$(paper melt_quenched_glass)" \
        "measured=$here/measured_glass.json" "ab initio=$out/reports/ab-initio" "crystal=$out/reports/crystal"
      ;;
    fluctuation)
      ensemble fluctuation strain_fluctuation --structure zif-4 --members 2 --set timestep_fs=1 \
        --set "time_ps=$(python3 -c "print($ns * 1000)")" --set equilibration_ps=20
      report fluctuation density,elasticity "$(paper crystal)"
      ;;
    *)
      echo "glasses.sh: $1 is none of crystal, ab-initio, melt-quench, melt-quenched, fluctuation" >&2
      exit 2
      ;;
  esac
}

mkdir -p "$out"
[ $# -gt 0 ] || set -- crystal ab-initio melt-quench melt-quenched fluctuation
for name in "$@"; do run "$name"; done
