#!/usr/bin/env bash
# Runs the commands of a tutorial and shows what they print: record.sh NAME FOLDER
# NAME is a file of commands/ without .sh; FOLDER is where decks, runs and reports go.
# RECORD_QUEUE may hold a program that waits for its turn and then runs its arguments.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export FILES="$here/files" NO_COLOR=1 COLUMNS=100
mkdir -p "$2" && cd "$2" || exit 1
while IFS= read -r command; do
  echo "\$ $command"
  ${RECORD_QUEUE:-} bash -c "SECONDS=0; $command"$'\n''echo "# exit status $?, $SECONDS s"' </dev/null 2>&1
done <"$here/commands/$1.sh"
