cp "$FILES/glass.yaml" .
mofmd generate glass.yaml --structure zif-4 --model zif4-nequip-s -o glass
(until grep -Eq '"step": [2-9][0-9]{2}' glass/status.json; do sleep 1; done 2>/dev/null; touch glass/stop.request) & mofmd run glass; echo "exit status $?"
mofmd run glass --resume
mofmd report glass -o glass-report
