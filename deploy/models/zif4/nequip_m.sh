#!/bin/bash
# A NequIP of four layers with l 2, from all labels: what the front says is the next candidate.
#   nequip_m.sh DATA OUT [EPOCHS]      DATA: folder of `mofmd learn split` (README.md); resumable
# With the fused convolution a frame takes 0.4 s of one core, forty epochs of all labels six hours.
set -euo pipefail
data=$1 out=$2 epochs=${3:-40}
here=$(dirname "$0")
cutoffs="per_edge_type_cutoff={H: {H: 3.5, C: 4.0, N: 4.0, Zn: 4.5}, C: {H: 4.0, C: 5.0, N: 5.0, Zn: 5.0}, N: {H: 4.0, C: 5.0, N: 5.0, Zn: 5.0}, Zn: {H: 4.5, C: 5.0, N: 5.0, Zn: 5.0}}"

mofmd learn train --family nequip --size m --data "$data" --epochs "$epochs" -o "$out/nequip-m" \
  --set "$cutoffs" --set sizes.m.l_max=2 --set "sizes.m.num_features=[32, 32, 16]" --set batch_size=2 \
  --name zif4-nequip-m --licence CC-BY-4.0 \
  --cite "N. Castel, D. André, C. Edwards, J. D. Evans, F.-X. Coudert, Digital Discovery 3, 355 (2024), doi:10.1039/d3dd00236e"
mofmd learn evaluate "$out/nequip-m/model.mofmd.pth" --frames "$here/frames_test.npz" --time-on zif-4 -o "$out/report"
python "$here/bulk_modulus.py" "$out/nequip-m/model.mofmd.pth" "$out/nequip-m/model.mofmd.pth" > "$out/bulk_modulus.json"
"$here/stability.sh" "$out/stability" "$out/nequip-m/model.mofmd.pth"
