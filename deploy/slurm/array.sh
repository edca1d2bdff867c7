#!/usr/bin/env bash
#SBATCH --job-name=mofmd
#SBATCH --array=0-@LAST@
#SBATCH --ntasks=@RANKS@
#SBATCH --cpus-per-task=@THREADS@
#SBATCH --time=@WALLTIME@
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@300
@OPTIONS@
# One member of an ensemble per array task: `sbatch array.sh`. GPUs, partition and account are the
# cluster's business: --slurm-options of `mofmd ensemble run`, or sbatch --gpus-per-task=1 -p gpu ...
# Before the time limit and at pre-emption SLURM sends SIGTERM: mofmd saves the state and exits
# with status 75, and the task is queued again and goes on from its last restart file.
set -u
cd @DIRECTORY@ || exit 1
members=(@MEMBERS@)
member=${members[$SLURM_ARRAY_TASK_ID]}

# not by a signal: at pre-emption SLURM signals mofmd too, and a second signal ends it at once
asked=
trap 'asked=1; touch "members/$member/stop.request"' TERM
@MOFMD@ run "members/$member" --ranks @RANKS@ --threads @THREADS@ --resume@EDITED@ &
run=$!
# a request that is older than mofmd is not meant for it
if [ -n "$asked" ]; then touch "members/$member/stop.request"; fi
status=
while [ -z "$status" ]; do
  wait "$run"
  status=$?
  # a signal ends `wait` while the run is still saving its state
  if kill -0 "$run" 2>/dev/null; then status=; fi
done
# 143: the signal came before mofmd could take it
if [ "$status" -eq 75 ] || { [ -n "$asked" ] && [ "$status" -eq 143 ]; }; then
  if command -v scontrol >/dev/null; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
  fi
fi
exit "$status"
