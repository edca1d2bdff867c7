mofmd generate nvt --structure zif-4 --model zif4-nequip-s --supercell 1x1x1 --set temperature_K=300 --set time_ps=0.1 --set frame_interval_fs=2.5 --set thermo_interval_fs=2.5 --set minimise_steps_max=10 -o first
ls first
mofmd run first
mofmd report first -o first-report
ls first-report
mofmd doctor
