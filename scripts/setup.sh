#!/bin/sh
# Installs the system packages that the build and the tests need, where they are missing. Debian 12.
set -eu
missing=""
for package in liblmdb-dev lmdb-utils libssl-dev libcurl4-openssl-dev openssl pkg-config python3 python3-venv gcc libc6-dev e2fsprogs mount "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if ! command -v swift >/dev/null 2>&1; then
    echo "setup: Swift 6.3 isn't installed; see https://www.swift.org/install/linux/" >&2
    exit 1
fi
[ -z "$missing" ] && exit 0
echo "setup: installing$missing"
if [ "$(id -u)" -eq 0 ]; then sudo=""; else sudo="sudo"; fi
$sudo apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing
