#!/bin/sh
# Installs mofmd from its source into a new Python environment and compiles the plugin in it; what
# the containers run, and good for any machine with Python, venv and a C++17 compiler.
# Usage: install.sh SOURCE PREFIX
# TORCH: what pip installs first, with pip's options, to choose torch's build for CPUs or for CUDA.
set -eu
source=$1
prefix=$2
python3 -m venv "$prefix"
# shellcheck disable=SC2086 # TORCH holds several words
"$prefix/bin/pip" install --no-cache-dir ${TORCH:-torch==2.13.0}
"$prefix/bin/pip" install --no-cache-dir \
  --constraint "$source/deploy/containers/constraints.txt" "$source[slurm]"
"$prefix/bin/mofmd" build
"$prefix/bin/mofmd" doctor
