#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Virtual environment with MONAI Label and this checkout, apart from that of tools/test: the server needs older versions
# of numpy and pydicom. The last line printed is its interpreter.
#
#   bash tools/lib/label_environment.sh
#
# SA2_LABEL_VENV  folder of the environment; <checkout>/.venv-monailabel by default (2 GB, minutes, once)
# SA2_PYTHON      the interpreter that makes it (3.10 to 3.12)
#
# Nothing is installed when label_requirements.txt is that of the last time.
#
# MONAI Label imports two functions of torchvision when it starts. The registry's build of torchvision works with the
# registry's torch (CUDA) alone; beside a CPU build of torch it fails ("operator torchvision::nms does not exist"). Where
# it cannot be imported, the stand-in of label_torchvision takes its place. With the index of the PyTorch project
# (pip install --index-url https://download.pytorch.org/whl/cpu torch torchvision) there is no need of it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

requirements="$ROOT/tools/lib/label_requirements.txt"
stand_in="$ROOT/tools/lib/label_torchvision"
venv="${SA2_LABEL_VENV:-$ROOT/.venv-monailabel}"
python="$venv/bin/python"
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# The version with which label_requirements.txt was tested comes first.
label_python() {
    local name
    for name in ${SA2_PYTHON:+"$SA2_PYTHON"} python3.11 python3.12 python3.10 python3; do
        if usable_python "$name" && "$name" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' >/dev/null 2>&1; then
            printf '%s' "$name"
            return
        fi
    done
    fail "MONAI Label needs a Python 3.10 to 3.12 with the modules venv and ensurepip. Install one, or name it with SA2_PYTHON."
}

wanted="$(cat "$requirements" <(printf '%s' "$ROOT"))"
if [[ -x "$python" && -f "$venv/.installed" && "$(<"$venv/.installed")" == "$wanted" ]]; then
    echo "$python"
    exit
fi
# Two tests at once would install into each other.
mkdir -p "$venv"
if command -v flock >/dev/null; then
    exec 9>"$venv/.lock"
    flock 9
    if [[ -f "$venv/.installed" && "$(<"$venv/.installed")" == "$wanted" ]]; then
        echo "$python"
        exit
    fi
fi
if ! "$python" -m pip --version >/dev/null 2>&1; then
    base="$(label_python)" || exit 1
    echo "Creating the virtual environment $venv ..." >&2
    "$base" -m venv "$venv" >&2 || fail "cannot create the virtual environment $venv. Is the folder writable?"
fi
echo "Installing MONAI Label into $venv (minutes, once) ..." >&2
rm -f "$venv/.installed"
# Compiling all modules beforehand takes as long as the rest.
"$python" -m pip install --quiet --no-deps --no-compile --requirement "$requirements" >&2 ||
    fail "the installation failed, see above. Is a package index reachable? Run again to go on."
site="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The checkout and, where it is needed, the stand-in: two lines in a .pth file, and nothing is built.
echo "$ROOT" >"$site/sa2_monai_checkout.pth"
if ! "$python" -c 'import torchvision' >/dev/null 2>&1; then
    echo "$stand_in" >>"$site/sa2_monai_checkout.pth"
fi
"$python" -c 'import monailabel.app, sa2_monai' >/dev/null || fail "MONAI Label cannot be imported in $venv."
printf '%s' "$wanted" >"$venv/.installed"
echo "$python"
