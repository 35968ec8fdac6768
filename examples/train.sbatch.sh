#!/bin/sh
#SBATCH --job-name=digits
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --time=10:00
#SBATCH --array=0-3%2
#
# A script with Slurm's headers, as tenure submit examples/train.sbatch.sh takes it: four learning rates, two at a time.
# Options on the command line win over the headers; one that Tenure does not honour would be refused by its name.

set -eu
case "$TENURE_ARRAY_INDEX" in
    0) lr=0.3 ;;
    1) lr=0.1 ;;
    2) lr=0.01 ;;
    *) lr=0.001 ;;
esac
exec "${PYTHON:-python3}" examples/digits.py --lr "$lr" --epochs 15
