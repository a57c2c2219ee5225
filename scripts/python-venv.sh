#!/bin/sh
# A Python environment under .build with third-party peers of the tests, pinned; prints its interpreter. Made once, kept until the list
# here changes. Without an argument: what `make test` needs. `moto`: AWS's SNS, for `make gateways`. `gunicorn`: for `make gunicorn`.
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
"")
    packages="smpp.pdu3==0.6 smpp.twisted3==0.8 Twisted==23.10.0 setuptools==75.6.0 pyOpenSSL==24.3.0 cryptography==44.0.0 service-identity==24.2.0 gsm0338==1.1.0 smsutil==1.1.3 icukit-pyicu==78.3.1 iso4217==1.16.20260101"
    here=.build/python
    ;;
moto)
    packages="moto[server]==5.2.1"
    here=.build/python-moto
    ;;
gunicorn)
    packages="gunicorn==23.0.0 packaging==24.2"
    here=.build/python-gunicorn
    ;;
*)
    echo "python-venv: there is no set called $1" >&2
    exit 1
    ;;
esac
if [ "$(cat "$here/packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$here"
    mkdir -p .build
    python3 -m venv "$here" >&2
    # shellcheck disable=SC2086
    "$here/bin/pip" install --quiet --disable-pip-version-check $packages >&2
    echo "$packages" >"$here/packages"
fi
echo "$PWD/$here/bin/python3"
