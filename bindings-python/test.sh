#!/usr/bin/env bash
# Builds the wheel that users get, installs it into a new virtual environment and tests it there.
# Needs Rust, a C compiler and Python 3.10 or later with venv; PYTHON selects the interpreter. Uses
# the target directory of the workspace, so burn is not built a second time.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
target=$(cargo metadata --format-version 1 --no-deps |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
export CARGO_TARGET_DIR=$target CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
export PIP_DISABLE_PIP_VERSION_CHECK=1
scratch=$(mktemp -d)
# One test runs as another user, who must be able to read the package.
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT

step() {
    echo
    echo "== Python: $* (after $((SECONDS / 60)) min $((SECONDS % 60)) s)"
}

step "virtual environment of $("$python" --version)"
"$python" -m venv "$scratch/venv"
export PATH="$scratch/venv/bin:$PATH" VIRTUAL_ENV="$scratch/venv"
pip install --quiet --requirement tests/requirements.txt

# Runs a build command, which must not build burn again.
build() {
    local log=$scratch/build.log burn
    burn=$(find "$target/release/.fingerprint" -maxdepth 1 -name 'burn-*' 2>/dev/null | head -1 || true)
    "$@" 2>&1 | tee "$log"
    if [[ -n $burn ]] && grep -q 'Compiling burn' "$log"; then
        echo "burn was built again: its features differ from those of the workspace" >&2
        exit 1
    fi
}

step "wheel"
build maturin build --release --out "$scratch/wheel"
wheel=$(echo "$scratch"/wheel/*.whl)
size=$(stat --format %s "$wheel" 2>/dev/null || stat -f %z "$wheel")
echo "$((size / 1000)) kB"
if ((size > 25000000)); then
    echo "the wheel is larger than 25 MB" >&2
    exit 1
fi
pip install --quiet "$wheel[notebook]"

step "source distribution"
maturin sdist --out "$scratch/sdist"
if tar --list --file "$scratch"/sdist/*.tar.gz | grep -E 'tests/(golden|reference)/|assets/'; then
    echo "the source distribution contains reference data" >&2
    exit 1
fi
build pip wheel --verbose --no-deps --no-build-isolation \
    --wheel-dir "$scratch/from-source" "$scratch"/sdist/*.tar.gz

step "stubs and reference"
python tools/stubs.py --check
python tools/reference.py --check

step "format and lints"
ruff format --check .
ruff check .

step "types"
mypy --strict --package lora_trainer
mypy --strict tests
python -m mypy.stubtest lora_trainer --allowlist tests/stubtest-allow.txt

step "tests"
python -m pytest --quiet

step "notebooks"
python tools/notebooks.py

step "all passed"
