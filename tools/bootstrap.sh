#!/bin/sh
# Makes .venv from locks/, or does nothing when it is already what the lock says.
#
# Needs Python 3.11 or newer and one of: uv, ensurepip, pip. Writes only below this folder: .venv and var/. Packages come
# as wheels whose hashes are in the lock; the project itself is installed last, as a link to this checkout.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.stamp
wanted="$(cat locks/*.txt pyproject.toml tools/bootstrap.sh | cksum) $PWD"
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# A folder of ours for each cache; the home folder may be missing or read-only.
cache=$PWD/var/cache
mkdir -p "$cache" var/bootstrap
export PIP_CACHE_DIR="$cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
export UV_CACHE_DIR="$cache/uv" UV_PYTHON_DOWNLOADS=never XDG_CACHE_HOME="$cache"
if [ ! -d "${HOME:-}" ]; then
    mkdir -p var/home
    export HOME="$PWD/var/home"
fi
# What a shell or another environment may have left behind to send an installation elsewhere.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
# The certificates of the machine, which pip trusts as well, beside the ones that uv brings.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
# uv does not read pip's settings: hand over where an operator's index and certificates are.
if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"; fi
if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3; do
        if [ -n "$candidate" ] && is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

install_hashed() { # python, lock, further arguments of pip
    interpreter=$1 lock=$2
    shift 2
    "$interpreter" -m pip install --quiet --require-hashes --only-binary :all: --requirement "$lock" "$@"
}

make_venv() {
    rm -rf .venv
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$python" -m venv .venv
    elif "$python" -m pip --version >/dev/null 2>&1; then
        install_hashed "$python" locks/virtualenv.txt --upgrade --target var/bootstrap
        PYTHONPATH=var/bootstrap "$python" -m virtualenv --quiet --no-download .venv
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --python "$python" .venv
    else
        die "$python has neither ensurepip nor pip, and there is no uv: install one (Debian: python3-venv)"
    fi
}

find_uv() {
    if command -v uv >/dev/null 2>&1; then
        command -v uv
    elif install_hashed .venv/bin/python locks/uv.txt >/dev/null 2>&1 && .venv/bin/uv --version >/dev/null 2>&1; then
        echo .venv/bin/uv
    else
        return 1
    fi
}

install_with_uv() {
    uv=$(find_uv) || return 1
    "$uv" pip install --quiet --python .venv/bin/python --require-hashes --only-binary :all: -r locks/dev.txt
}

if ! { [ -x .venv/bin/python ] && is_new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python) || die "Python 3.11 or newer is needed (name it with PYTHON=...)"
    say "making .venv with $("$python" --version 2>&1)"
    make_venv
fi
rm -f "$stamp"
say "installing what locks/dev.txt names"
if ! install_with_uv; then
    say "uv did not do it; trying pip"
    install_hashed .venv/bin/python locks/dev.txt
fi
# Its dependencies are all there, and its build backend too: nothing is fetched for it.
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"
