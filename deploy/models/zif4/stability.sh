#!/bin/bash
# Does a model hold? 272 atoms, constant volume, from the crystal: 300 K, and 1500 K, where it melts.
#   stability.sh OUT MODEL [PS] [SEEDS]        a page for each temperature: OUT/300K/report/report.html
# Two runs at a time, one thread each; what was interrupted goes on from its last restart file.
# A model compiled for this processor takes two thirds of the time:
#   mofmd deploy sources/zif4-mace-m.model --format aotinductor --species "C H N Zn" --structure zif-4 -o mace-m.mofmd.pt2
set -euo pipefail
out=$1 model=$2 ps=${3:-20} seeds=${4:-3} status=0

mkdir -p "$out"
for temperature in 300 1500; do
  runs=$out/${temperature}K
  if [ ! -d "$runs" ]; then
    mofmd ensemble new "$runs" nvt --structure zif-4 --model "$model" --supercell 1x1x1 \
      --members "$seeds" --set temperature_K="$temperature" --set time_ps="$ps"
  fi
  mofmd ensemble run "$runs" --workers "${WORKERS:-2}" || status=$? # a broken linker: the page says so
  mofmd ensemble collect "$runs"
  mofmd report "$runs" --observables rdf,coordination,integrity -o "$runs/report"
done
exit $status
