cp "$FILES/runs.yaml" .
mofmd learn sample runs.yaml --model zif4-nequip-s --every 4 -o sampled
mofmd learn pick sampled/frames.extxyz --count 18 --method fps --model zif4-nequip-s -o picked.extxyz
mofmd learn label picked.extxyz --labeller "$(python -c 'from mofmd.models.files.embedded import embedded_model; print(embedded_model("zif4-mace-m"))')" -o labelled.extxyz
mofmd learn check labelled.extxyz
mofmd learn split labelled.extxyz -o data
mofmd learn train --family nequip --size xs --data data --epochs 10 -o training
mofmd learn evaluate training/model.mofmd.pth --frames data/test.extxyz -o evaluation
mofmd models show training/model.mofmd.pth
