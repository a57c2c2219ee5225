#!/bin/bash
# Builds one libFuzzer binary per target: scripts/fuzz-build.sh asan|fast SOURCES OUT [TARGET...]
# swiftc by hand and not SwiftPM, whose executables have a main of their own and which would instrument SwiftNIO too. `fast` leaves
# AddressSanitizer out: Swift's own checks stay, and it runs some times as many inputs.
set -euo pipefail
variant=$1
sources=$(cd "$2" && pwd)
out=$3
shift 3
targets=${*:-frames messages journal recovery store records fields config texts engine smpp vendors desks}
mkdir -p "$out/modules"
sanitize=fuzzer
[ "$variant" = asan ] && sanitize=fuzzer,address
clang=$(dirname "$(readlink -f "$(command -v swiftc)")")/clang
checkout=${TOMLKIT:-.build/checkouts/TOMLKit}

c_flags=(-O2 -g -fPIC -fsanitize=fuzzer-no-link)
[ "$variant" = asan ] && c_flags+=(-fsanitize=address)
flags=(-O -g -wmo -parse-as-library -swift-version 6 -enable-testing -cross-module-optimization -package-name otpd
    -sanitize="$sanitize" -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility
    -enable-upcoming-feature InternalImportsByDefault -I "$out/modules" -Xcc -I"$sources/Sources/CLinuxShim/include"
    -Xcc -fmodule-map-file="$sources/Sources/CLMDB/module.modulemap"
    -Xcc -fmodule-map-file="$sources/Sources/COpenSSL/module.modulemap"
    -Xcc -fmodule-map-file="$out/modules/CLinuxShim.modulemap")

# module NAME FILES...: skipped when its object is newer than its sources and its imports.
module() {
    local name=$1 object="$out/modules/$1.o"
    shift
    if [ -f "$object" ] && [ -z "$(find "$@" "$0" -newer "$object" -print -quit)" ] && [ -z "$stale" ]; then return; fi
    stale=yes
    echo "fuzz: compiling $name ($variant)"
    swiftc "${flags[@]}" -module-name "$name" -emit-module -emit-module-path "$out/modules/$name.swiftmodule" \
        -c "$@" -o "$object"
    # swiftc leaves an object that it would write the same as it was, and so its time.
    touch "$object"
}

echo "module CLinuxShim { umbrella header \"$sources/Sources/CLinuxShim/include/CLinuxShim.h\" export * }" \
    > "$out/modules/CLinuxShim.modulemap"
[ "$out/modules/CLinuxShim.o" -nt "$sources/Sources/CLinuxShim/CLinuxShim.c" ] || \
    "$clang" "${c_flags[@]}" -I "$sources/Sources/CLinuxShim/include" -c "$sources/Sources/CLinuxShim/CLinuxShim.c" \
    -o "$out/modules/CLinuxShim.o"

# Only the modules that a target links, and with them only the edges that it can reach.
need() { for target in $targets; do [[ " $* " == *" $target "* ]] && return 0; done; return 1; }
stale=
S=$sources/Sources
if need frames messages records fields config engine desks; then module Wire $(find "$S/Wire" -name '*.swift'); fi
if need journal recovery store records fields config engine vendors desks; then module LibCrypto "$S"/LibCrypto/*.swift; fi
if need texts config smpp vendors desks; then module SMSText "$S"/SMSText/*.swift; fi
if need smpp; then module SMPP "$S"/SMPP/*.swift; fi
if need vendors; then module HTTPGateway $(find "$S/HTTPGateway" -name '*.swift'); fi
if need records fields config engine desks; then module Engine "$S"/Engine/*.swift; fi
if need journal recovery store config desks; then module Store "$S"/Store/*.swift; fi
if need config desks; then
    flags+=(-Xcc -I"$checkout/Sources/CTOML/include")
    if [ ! -f "$out/modules/CTOML.o" ]; then
        echo "fuzz: compiling TOMLKit ($variant)"
        mkdir -p "$out/modules/toml"
        for file in "$checkout"/Sources/CTOML/Sources/*.cpp; do
            "$clang++" -std=c++17 -w "${c_flags[@]}" -I "$checkout/Sources/CTOML/include" -c "$file" \
                -o "$out/modules/toml/$(basename "$file" .cpp).o"
        done
        # A dependency's warnings and rules aren't ours.
        find "$checkout/Sources/TOMLKit" -name '*.swift' -print0 | xargs -0 swiftc -O -wmo -parse-as-library \
            -swift-version 5 -suppress-warnings -Xcc -I"$checkout/Sources/CTOML/include" -module-name TOMLKit \
            -emit-module -emit-module-path "$out/modules/TOMLKit.swiftmodule" -o "$out/modules/TOMLKit.o" -c
        ld -r -o "$out/modules/CTOML.o" "$out"/modules/toml/*.o
    fi
    # The server without its life around it: no sockets and no log here.
    module StrictTOML "$S"/StrictTOML/*.swift
    module AuthServer $(find "$S/AuthServer" -name '*.swift' ! -name Server.swift ! -name EventLoop.swift ! -name Listener.swift ! -name Socket.swift)
fi

# link TARGET SUPPORT-FILES -- MODULES
link() {
    local target=$1 objects=() libraries=() files=()
    shift
    for name in FuzzTarget Entry "Targets/${target^}Fuzz"; do files+=("$sources/Tests/Fuzz/$name.swift"); done
    while [ "$1" != -- ]; do
        files+=("$sources/Tests/Fuzz/$1.swift")
        shift
    done
    shift
    for name in "$@"; do objects+=("$out/modules/$name.o"); done
    case " $* " in *" LibCrypto "*) libraries+=(-lcrypto) ;; esac
    case " $* " in *" Store "*) libraries+=(-llmdb) ;; esac
    case " $* " in *" CTOML "*) libraries+=(-lstdc++) ;; esac
    if [ -f "$out/$target" ] && [ -z "$(find "${files[@]}" "${objects[@]}" "$0" -newer "$out/$target" -print -quit)" ]; then return; fi
    echo "fuzz: linking $target ($variant)"
    # The linker's word on the sanitizer's own symbols tells nothing.
    swiftc "${flags[@]}" -D "$target" -module-name "Fuzz_$target" -c "${files[@]}" -o "$out/modules/Fuzz_$target.o"
    swiftc -sanitize="$sanitize" "$out/modules/Fuzz_$target.o" "${objects[@]}" "${libraries[@]}" -o "$out/$target" \
        2> >(grep -v 'Cannot export local symbol' >&2)
}

for target in $targets; do
    case $target in
        frames | messages) link "$target" -- Wire ;;
        journal) link "$target" -- CLinuxShim LibCrypto Store ;;
        recovery) link "$target" FuzzFolder ForgedJournal -- CLinuxShim LibCrypto Store ;;
        store) link "$target" FuzzFolder -- CLinuxShim LibCrypto Store ;;
        records | fields) link "$target" -- CLinuxShim Wire LibCrypto Engine ;;
        engine) link "$target" FuzzState EngineModel -- CLinuxShim Wire LibCrypto Engine ;;
        texts) link "$target" -- SMSText ;;
        smpp) link "$target" -- SMSText SMPP ;;
        vendors) link "$target" -- CLinuxShim LibCrypto SMSText HTTPGateway ;;
        desks) link "$target" FuzzFolder -- CLinuxShim Wire LibCrypto SMSText Engine Store CTOML TOMLKit StrictTOML AuthServer ;;
        config) link "$target" -- CLinuxShim Wire LibCrypto SMSText Engine Store CTOML TOMLKit StrictTOML AuthServer ;;
        *)
            echo "fuzz: there is no target $target" >&2
            exit 2
            ;;
    esac
done
