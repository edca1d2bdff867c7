cp "$FILES/runs.yaml" .
mofmd learn sample runs.yaml --model zif4-nequip-s --every 4 -o sampled
mofmd learn pick sampled/frames.extxyz --count 18 --method fps --model zif4-nequip-s -o picked.extxyz
mofmd learn label picked.extxyz --labeller zif4-mace-m -o labelled.extxyz
mofmd learn check labelled.extxyz
mofmd learn split labelled.extxyz -o data
mofmd learn train --family nequip --size xs --data data --epochs 10 -o training
mofmd learn train --family nequip --size s --data data --epochs 2 --set lr=0.001 --start deploy/models/zif4/sources/zif4-nequip-s.nequip.zip -o tuned
mofmd learn evaluate tuned/model.mofmd.pth zif4-nequip-s --frames data/test.extxyz -o evaluation
mofmd models show tuned/model.mofmd.pth
