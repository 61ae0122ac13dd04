#!/bin/sh
# Writes locks/: one universal lock of everything that development needs, and one for each tool of the bootstrap.
# Wheels only, with hashes, and without the address of an index: whoever installs uses the index that they trust.
set -eu
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
[ -x "$uv" ] || { echo "lock: no uv found on PATH or in .venv" >&2; exit 1; }
export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/var/cache/uv}"

compile() {
    UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --only-binary :all: --no-emit-index-url --no-emit-find-links --no-emit-package authserver \
        "$@"
}

mkdir -p locks
compile pyproject.toml --all-extras --output-file locks/dev.txt
compile --group uv --output-file locks/uv.txt
compile --group virtualenv --output-file locks/virtualenv.txt
