mofmd doctor
mofmd generate nvt --structure zif-4 --model zif4-nequip-s --supercell 1x1x1 --set temperature_K=300 --set time_ps=1 --set frame_interval_fs=10 -o first
ls first
mofmd run first
ls first
mofmd report first -o first-report
