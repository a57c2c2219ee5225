#!/bin/sh
# No program that is released may carry the simulation's random bytes, clocks or disk: they would be used in place of the real ones.
set -eu
for program in "$@"; do
    found=$(nm "$program" | grep -E ' [TtWwDd] (RAND_bytes|RAND_priv_bytes|clock_gettime|statvfs|pwrite|writev|fdatasync|rename|sim_machine_|fault_disk_)' || true)
    if [ -n "$found" ]; then
        echo "$program defines what only the simulation may:" >&2
        echo "$found" >&2
        exit 1
    fi
done
echo "no simulated random bytes, clocks or disk in: $*"
