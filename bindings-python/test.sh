#!/usr/bin/env bash
# Builds the wheel as users get it, installs it into a virtual environment of its own and tests it there. Needs Rust, a C compiler and
# Python 3.10 or later with venv; PYTHON chooses one. The workspace's target directory is used, so that burn, once built, is not built again.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
target=$(cargo metadata --format-version 1 --no-deps | "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
export CARGO_TARGET_DIR=$target CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never} PIP_DISABLE_PIP_VERSION_CHECK=1
scratch=$(mktemp -d)
# A test becomes another user, who must be able to read the package.
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

# Builds with a command, which must not build burn where it was there before.
build() {
    local log=$scratch/build.log burn
    burn=$(find "$target/release/.fingerprint" -maxdepth 1 -name 'burn-*' 2>/dev/null | head -1 || true)
    "$@" 2>&1 | tee "$log"
    if [[ -n $burn ]] && grep -q 'Compiling burn' "$log"; then
        echo "burn was built again: the features of its dependencies differ from those of the workspace" >&2
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
    echo "the source distribution holds reference data" >&2
    exit 1
fi
build pip wheel --verbose --no-deps --no-build-isolation --wheel-dir "$scratch/from-source" "$scratch"/sdist/*.tar.gz

step "stubs and reference"
python tools/stubs.py --check
python tools/reference.py --check

step "types"
mypy --strict --package lora_trainer
mypy --strict tests
python -m mypy.stubtest lora_trainer --allowlist tests/stubtest-allow.txt

step "tests"
python -m pytest --quiet

step "notebooks"
python tools/notebooks.py

step "all passed"
