#!/bin/sh
# Includes point one way (docs/internals.md): edge -> cache -> policy -> base, each folder also on all
# below it, none on the tests; and each foreign library stays in its few files. Prints file:line of
# every include that does not, and exits 1. Usage: includes.sh [ROOT], the repository by default.

set -eu
cd "${1:-$(dirname "$0")/../..}"

find base policy cache edge -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) | sort |
    xargs awk '
    BEGIN {
        split("base policy cache edge", order)
        for (i in order)
            rank[order[i]] = i
        known["base"] = known["policy"] = known["cache"] = known["edge"] = 1
    }
    function complain(why) {
        printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
        bad = 1
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        line = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
        is_ours = substr(line, 1, 1) == "\""
        target = substr(line, 2)
        sub(/[">].*$/, "", target)
        folder = FILENAME
        sub(/\/.*$/, "", folder)
        to = target
        sub(/\/.*$/, "", to)

        if (is_ours && (!(to in known) || to == target))
            complain("includes of our own are written from the top, and never of tests")
        else if (is_ours && rank[to] > rank[folder])
            complain(folder "/ may not use " to "/")
        if (target == "lmdb.h" && FILENAME !~ /^cache\/store[^\/]*\.c$/)
            complain("lmdb.h belongs to cache/store*.c")
        if (target == "xxhash.h" && FILENAME != "cache/key.c")
            complain("xxhash.h belongs to cache/key.c")
        if (target ~ /^h2o(\.h$|\/)/ && folder != "edge")
            complain("h2o belongs to edge/")
    }
    END { exit bad }
' || exit 1
