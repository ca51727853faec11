# shellcheck shell=bash
# Virtual environment of this checkout, for tools/test and tools/quickstart. To be sourced.
#
#   prepare_environment EXTRAS    makes <checkout>/.venv when it is missing, installs the package with the extras in
#                                 the versions of tools/constraints.txt, and sets PYTHON to its interpreter.
#
# SA2_PYTHON  the interpreter that makes the environment (3.10 or newer); found by itself otherwise
# SA2_VENV    another folder for the environment
#
# Nothing is installed when the package's metadata and the constraints are those of the last time.

# In an empty environment bash knows a default search path but keeps it to itself.
export PATH

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"

fail() {
    printf 'tools/%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# An interpreter is of use when it is new enough and can make environments (Debian splits that part off).
usable_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() {
    local name
    if [[ -n "${SA2_PYTHON:-}" ]]; then
        usable_python "$SA2_PYTHON" || fail "SA2_PYTHON=$SA2_PYTHON is not a Python of at least 3.10 with the modules venv and ensurepip."
        printf '%s' "$SA2_PYTHON"
        return
    fi
    # The version that the constraints were tested with comes first.
    for name in python3.11 python3.12 python3.13 python3 python3.10 python; do
        if usable_python "$name"; then
            printf '%s' "$name"
            return
        fi
    done
    fail "found no Python of at least 3.10 with the modules venv and ensurepip. Install it (on Debian and Ubuntu: python3 and python3-venv), or name one with SA2_PYTHON."
}

# What a surrounding Python sets up must not leak in.
isolate_python() {
    unset PYTHONHOME PYTHONPATH
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
}

# Two tools at once would install into each other. The lock is held until the file descriptor 9 is closed.
lock() {
    mkdir -p "$(dirname "$1")"
    if command -v flock >/dev/null; then
        exec 9>"$1"
        flock 9
    fi
}

prepare_environment() {
    local extras="$1" venv="${SA2_VENV:-$ROOT/.venv}" python stamp wanted
    isolate_python
    PYTHON="$venv/bin/python"

    # An environment whose making was interrupted has no pip; making it again mends it.
    if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)" || exit 1
        echo "Creating the virtual environment $venv ..."
        "$python" -m venv "$venv" || fail "cannot create the virtual environment $venv. Is the folder writable?"
    fi
    usable_python "$PYTHON" || fail "the environment $venv has a Python older than 3.10. Remove the folder and run again."

    stamp="$venv/.sa2_monai-$extras"
    wanted="$(cd "$ROOT" && "$PYTHON" - "$ROOT" setup.cfg setup.py pyproject.toml tools/constraints.txt <<'PYTHON'
import hashlib, pathlib, sys
print(hashlib.sha256(b"\0".join([sys.argv[1].encode(), *(pathlib.Path(p).read_bytes() for p in sys.argv[2:])])).hexdigest())
PYTHON
    )" || fail "cannot read setup.cfg, setup.py, pyproject.toml and tools/constraints.txt in $ROOT."
    if [[ -f "$stamp" && "$(<"$stamp")" == "$wanted" ]]; then
        return
    fi
    lock "$venv/.sa2_monai-lock"
    echo "Installing sa2_monai[$extras] and what it needs into $venv (minutes, once) ..."
    rm -f "$stamp"
    local quiet=()
    [[ -t 1 ]] || quiet=(--quiet)
    "$PYTHON" -m pip install ${quiet[@]+"${quiet[@]}"} --editable "$ROOT[$extras]" --constraint "$ROOT/tools/constraints.txt" ||
        fail "the installation failed, see above. Is a package index reachable? Run again to go on."
    printf '%s' "$wanted" >"$stamp"
    exec 9>&-
}
