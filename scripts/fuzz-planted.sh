#!/bin/bash
# Shows that each target finds its planted bug: Tests/Fuzz/planted/TARGET.patch is applied to a copy of the sources, and the target,
# begun from the corpus in git, must break within the time: scripts/fuzz-planted.sh [SECONDS [SEED [TARGET...]]]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
seed=${2:-1}
shift $(($# < 2 ? $# : 2))
targets=(${*:-frames messages journal recovery store records fields config texts engine smpp vendors desks})
out=${OUT:-.build/fuzz}
[ -d .build/checkouts/TOMLKit ] || swift package resolve
bash scripts/fuzz-build.sh fast . "$out/fast" "${targets[@]}"
FUZZ_FOLDER=$(mktemp -d /dev/shm/otpd-fuzz.XXXXXX)
trap 'rm -rf "$FUZZ_FOLDER"' EXIT
export FUZZ_FOLDER SWIFT_BACKTRACE=enable=no
echo "fuzz-planted: at most $seconds s a target, seed $seed, $(git rev-parse --short HEAD)"
status=0
for target in "${targets[@]}"; do
    copy="$out/planted/$target"
    rm -rf "$copy/Sources" "$copy/Tests"
    mkdir -p "$copy/Tests" "$copy/grown"
    rm -rf "${copy:?}/grown/"*
    # With their times, and with the fast build's objects: only what the patch touches is compiled anew.
    cp -rp Sources "$copy/"
    cp -rp Tests/Fuzz "$copy/Tests/"
    rm -rf "$copy/build"
    mkdir -p "$copy/build"
    cp -rp "$out/fast/modules" "$copy/build/"
    patch --quiet -p1 -F0 -d "$copy" < "Tests/Fuzz/planted/$target.patch" || {
        echo "fuzz-planted: Tests/Fuzz/planted/$target.patch doesn't apply any more; plant the bug anew" >&2
        exit 2
    }
    bash scripts/fuzz-build.sh fast "$copy" "$copy/build" "$target" > "$copy/build.log" 2>&1 || {
        cat "$copy/build.log" >&2
        exit 2
    }
    start=$(date +%s%N)
    if "$copy/build/$target" -max_total_time="$seconds" -seed="$seed" -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$copy/" "$copy/grown" "Tests/Fuzz/corpus/$target" > "$copy/run.log" 2>&1; then
        status=1
        found="NOT FOUND"
    else
        found="found in $((($(date +%s%N) - start) / 1000000)) ms"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$copy/run.log")
    words=$(grep -aoE "(Fatal error|Assertion|ERROR): .*" "$copy/run.log" | head -1 | cut -c1-110 || true)
    printf '%-10s %-20s %10s runs  %s\n' "$target" "$found" "${runs:-?}" "$words"
    printf '           planted: %s\n' "$(sed -n '1p' "Tests/Fuzz/planted/$target.patch")"
done
exit $status
