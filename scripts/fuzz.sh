#!/bin/bash
# Fuzzes the frame decoder and every message with libFuzzer, from the vectors as seeds: scripts/fuzz.sh [SECONDS [SEED]]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
seed=${2:-1}
out=.build/fuzz
mkdir -p "$out/corpus" "$out/finds"
swiftc -O -g -sanitize=fuzzer,address -parse-as-library -swift-version 6 -module-name WireFuzz \
    $(find Sources/Wire -name '*.swift') Tests/Fuzz/WireFuzz.swift -o "$out/wire-fuzz" \
    2> >(grep -v 'Cannot export local symbol' >&2)  # the linker's word on the sanitizer's own symbols
for vector in Tests/Vectors/frames/*.txt; do
    sed -n 's/^hex: *//p' "$vector" | tr -d '\n' | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' \
        > "$out/corpus/$(basename "$vector" .txt)"
done
echo "fuzz: Wire, ${seconds} s, seed ${seed}, $(git rev-parse --short HEAD)"
# With Swift's own backtracer a crash would hang in it.
SWIFT_BACKTRACE=enable=no "$out/wire-fuzz" -max_total_time="$seconds" -seed="$seed" -max_len=4200 -timeout=5 \
    -artifact_prefix="$out/finds/" -print_final_stats=1 "$out/corpus" 2>&1 | tail -15
