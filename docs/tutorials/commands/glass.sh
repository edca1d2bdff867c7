cp "$FILES/glass.yaml" .
mofmd generate glass.yaml --structure zif-4 --model zif4-nequip-s -o glass
(sleep 30; touch glass/stop.request) & mofmd run glass; echo "exit status $?"
mofmd run glass --resume
mofmd report glass -o glass-report
mofmd report glass --stage melt -o melt-report --observables rdf,coordination,integrity
