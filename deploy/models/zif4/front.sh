#!/bin/bash
# Accuracy against speed: the same data and the same number of epochs for each architecture.
#   front.sh DATA OUT [EPOCHS]         DATA: folder of `mofmd learn split`; every training is resumable
set -euo pipefail
data=$1 out=$2 epochs=${3:-6}
cutoffs="per_edge_type_cutoff={H: {H: 3.5, C: 4.0, N: 4.0, Zn: 4.5}, C: {H: 4.0, C: 5.0, N: 5.0, Zn: 5.0}, N: {H: 4.0, C: 5.0, N: 5.0, Zn: 5.0}, Zn: {H: 4.5, C: 5.0, N: 5.0, Zn: 5.0}}"

train() { # name, family, size, settings
  local name=$1 family=$2 size=$3 settings=()
  shift 3
  for each in "$@"; do settings+=(--set "$each"); done
  mofmd learn train --family "$family" --size "$size" --data "$data" --epochs "$epochs" "${settings[@]}" -o "$out/$name"
  cp "$out/$name/model.mofmd.pth" "$out/$name.mofmd.pth"
}

mkdir -p "$out"
train allegro-1l-l2-32-4 allegro s "$cutoffs" sizes.s.l_max=2 sizes.s.num_scalar_features=32 sizes.s.num_tensor_features=4
train allegro-1l-l3-48-8 allegro s "$cutoffs"
train allegro-1l-l3-64-16 allegro s "$cutoffs" sizes.s.num_scalar_features=64 sizes.s.num_tensor_features=16
train allegro-1l-l2-64-16 allegro s "$cutoffs" sizes.s.l_max=2 sizes.s.num_scalar_features=64 sizes.s.num_tensor_features=16
train allegro-2l-l1-32-8 allegro m "$cutoffs" sizes.m.l_max=1 sizes.m.num_scalar_features=32 sizes.m.num_tensor_features=8
train nequip-2l-l1-32 nequip s "$cutoffs" sizes.s.num_layers=2
train nequip-3l-l1-16 nequip s "$cutoffs" sizes.s.num_features=16
train nequip-3l-l1-32 nequip s "$cutoffs"
train mace-16x1-l2-c2 mace s
train mace-16x1-l2-c3 mace s correlation=3
train mace-32x0-l2-c3 mace s num_channels=32 max_L=0 correlation=3
mofmd learn evaluate "$out"/*.mofmd.pth --frames "$(dirname "$0")/frames_test.npz" --time-on zif-4 -o "$out/report"
