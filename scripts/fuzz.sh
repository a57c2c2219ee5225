#!/bin/bash
# Fuzzes each target for its share of the time and prints what it reached: scripts/fuzz.sh [SECONDS [SEED [TARGET...]]]
# VARIANT=fast leaves AddressSanitizer out; Swift's own checks stay. What grows the corpus goes to .build/fuzz/grown/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
seed=${2:-1}
shift $(($# < 2 ? $# : 2))
targets=(${*:-frames messages journal recovery store records fields config texts engine smpp vendors desks})
variant=${VARIANT:-asan}
out=${OUT:-.build/fuzz}
[ -d .build/checkouts/TOMLKit ] || swift package resolve
bash scripts/fuzz-build.sh "$variant" . "$out/$variant" "${targets[@]}"
FUZZ_FOLDER=$(mktemp -d /dev/shm/otpd-fuzz.XXXXXX)
trap 'rm -rf "$FUZZ_FOLDER"' EXIT
export FUZZ_FOLDER
# With Swift's own backtracer a crash would hang in it.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0

share=$((seconds / ${#targets[@]} > 0 ? seconds / ${#targets[@]} : 1))
echo "fuzz: $variant, ${share} s a target, seed $seed, $(git rev-parse --short HEAD)"
printf '%-10s %12s %10s %8s %9s %7s  %s\n' target executions per-s edges features corpus result
status=0
total=0
for target in "${targets[@]}"; do
    mkdir -p "$out/grown/$target" "$out/finds/$target"
    log="$out/$target.log"
    # The first corpus grows; those in git are read.
    corpora=("$out/grown/$target" "Tests/Fuzz/corpus/$target")
    [ -d "Tests/Fuzz/finds/$target" ] && corpora+=("Tests/Fuzz/finds/$target")
    result=sound
    "$out/$variant/$target" -max_total_time="$share" -seed="$seed" -max_len=4096 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$out/finds/$target/" "${corpora[@]}" \
        > "$log" 2>&1 || result=FOUND
    executions=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1 || true)
    printf '%-10s %12s %10s %8s %9s %7s  %s\n' "$target" "${executions:-?}" "${rate:-?}" \
        "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<< "$last")" "$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' <<< "$last")" \
        "$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<< "$last")" "$result"
    total=$((total + ${executions:-0}))
    if [ "$result" = FOUND ]; then
        status=1
        grep -aE 'Fatal error|ERROR|Assertion|Test unit written' "$log" | head -4 | sed 's/^/    /' || true
    fi
done
echo "fuzz: $total executions over ${#targets[@]} targets, $variant, seed $seed"
exit $status
