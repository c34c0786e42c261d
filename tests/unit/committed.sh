#!/bin/sh
# What is committed: lock files name no registry (npm takes the configured one), and no file is larger than 1 MB.
# Prints what is wrong and exits 1. Usage: committed.sh [ROOT], the repository by default.

set -eu
cd "${1:-$(dirname "$0")/../..}"

{
    find . -name package-lock.json -not -path '*/node_modules/*' -exec grep -Hn '"resolved"' {} + | head -n 5
    if git rev-parse --git-dir >/dev/null 2>&1; then git ls-files -z; else find . -type f -print0; fi |
        xargs -0 -r sh -c 'find "$@" -maxdepth 0 -size +1024k 2>/dev/null' sh | sed 's/$/: larger than 1 MB/'
} | awk '{ print; bad = 1 } END { exit bad }'
