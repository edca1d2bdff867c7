#!/bin/bash
# Does a model hold? 272 atoms, constant volume, from the crystal: 300 K, and 1500 K, where it melts.
#   stability.sh OUT MODEL [PS] [SEEDS]        one page for all runs: OUT/report/report.html
# Two runs at a time, one thread each; what was interrupted goes on from its last restart file.
set -euo pipefail
out=$1 model=$2 ps=${3:-20} seeds=${4:-3}

if [ ! -d "$out" ]; then
  mofmd ensemble new "$out" nvt --structure zif-4 --model "$model" --supercell 1x1x1 \
    --vary temperature_K=300,1500 --members "$seeds" --set time_ps="$ps"
fi
mofmd ensemble run "$out" --workers "${WORKERS:-2}"
mofmd ensemble collect "$out"
mofmd report "$out" --observables rdf,coordination,integrity -o "$out/report"
