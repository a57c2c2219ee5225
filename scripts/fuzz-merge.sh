#!/bin/bash
# Makes the corpora in git: seeds, what fuzzing has grown and what is there already, merged to the fewest small files that reach
# all that they reach: scripts/fuzz-merge.sh [TARGET...]. Needs the fast binaries (VARIANT=fast scripts/fuzz.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-.build/fuzz}
targets=(${*:-frames messages journal recovery store records fields config texts engine smpp vendors desks})
export SWIFT_BACKTRACE=enable=no
FUZZ_FOLDER=$(mktemp -d /dev/shm/otpd-fuzz.XXXXXX)
trap 'rm -rf "$FUZZ_FOLDER"' EXIT
export FUZZ_FOLDER
rm -rf "$out/seeds"
python3 scripts/fuzz-seeds.py "$out/seeds"
for target in "${targets[@]}"; do
    merged="$out/merged/$target"
    rm -rf "$merged"
    mkdir -p "$merged" "$out/grown/$target" "Tests/Fuzz/corpus/$target"
    "$out/fast/$target" -set_cover_merge=1 -max_len=2048 "$merged" "$out/seeds/$target" "Tests/Fuzz/corpus/$target" "$out/grown/$target" \
        > "$out/$target.merge.log" 2>&1
    # What is small says as much; the corpus in git is for replay and for a start, not an archive.
    rm -rf "Tests/Fuzz/corpus/$target"
    mkdir -p "Tests/Fuzz/corpus/$target"
    find "$merged" -type f -printf '%s %p\n' | sort -n | awk 'NR <= 700' | cut -d' ' -f2- | xargs -I{} cp {} "Tests/Fuzz/corpus/$target/"
    echo "$target: $(ls "Tests/Fuzz/corpus/$target" | wc -l) files, $(du -bs "Tests/Fuzz/corpus/$target" | cut -f1) bytes"
done
