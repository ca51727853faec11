#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Virtual environment with the MONAI Deploy App SDK and this checkout, apart from that of tools/test: Holoscan is not for
# every machine. The last line printed is its interpreter.
#
#   bash tools/lib/deploy_environment.sh
#
# SA2_DEPLOY_VENV  folder of the environment; <checkout>/.venv-deploy by default (1.5 GB, minutes, once)
# SA2_PYTHON       the interpreter that makes it (3.10 to 3.13)
#
# Nothing is installed when deploy_requirements.txt is that of the last time.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

requirements="$ROOT/tools/lib/deploy_requirements.txt"
venv="${SA2_DEPLOY_VENV:-$ROOT/.venv-deploy}"
python="$venv/bin/python"
isolate_python

wanted="$(cat "$requirements" <(printf '%s' "$ROOT"))"
is_ready() {
    [[ -x "$python" && -f "$venv/.installed" && "$(<"$venv/.installed")" == "$wanted" ]]
}

if ! is_ready; then
    lock "$venv/.lock"
fi
if ! is_ready; then
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        base="$(find_python)" || exit 1
        echo "Creating the virtual environment $venv ..." >&2
        "$base" -m venv "$venv" >&2 || fail "cannot create the virtual environment $venv. Is the folder writable?"
    fi
    echo "Installing the MONAI Deploy App SDK into $venv (minutes, once) ..." >&2
    rm -f "$venv/.installed"
    "$python" -m pip install --quiet --no-deps --no-compile --requirement "$requirements" >&2 ||
        fail "the installation failed, see above. Is a package index reachable? Run again to go on."
    site="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    echo "$ROOT" >"$site/sa2_monai_checkout.pth"
    # Holoscan finds the CUDA runtime beside its own libraries, without a variable for the search path.
    ln -sf ../../nvidia/cu13/lib/libcudart.so.13 "$site/holoscan/lib/"
    "$python" -W ignore -c 'import holoscan, monai.deploy.core, sa2_monai' >/dev/null ||
        fail "the MONAI Deploy App SDK cannot be imported in $venv."
    printf '%s' "$wanted" >"$venv/.installed"
fi
echo "$python"
