#!/bin/sh
# What is committed (build and package folders are not): lock files name no registry (npm takes the configured one), and no file is larger than 1 MB.
# Prints what is wrong and exits 1. Usage: committed.sh [ROOT], the repository by default.

set -eu
cd "${1:-$(dirname "$0")/../..}"

{
    find . -name package-lock.json -not -path '*/node_modules/*' -exec grep -Hn '"resolved"' {} + | head -n 5
    find . \( -name node_modules -o -name .git -o -name .cache -o -path './build*' -o -path ./tests/fuzz/findings \) -prune \
        -o -type f -size +1024k -print | sed 's/$/: larger than 1 MB/'
} | awk '{ print; bad = 1 } END { exit bad }'
