cp "$FILES/glass.yaml" .
mofmd ensemble new glasses glass.yaml --structure zif-4 --model zif4-nequip-s --members 2 --vary rate_K_per_ps=20000,40000 --set plateau_ps=0.025 --set equilibration_ps=0.01 --set anneal_ps=0.025
mofmd ensemble run glasses --workers 2
mofmd ensemble status glasses
mofmd ensemble collect glasses
mofmd report glasses -o glasses-report --observables rdf,coordination,integrity
