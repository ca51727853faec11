#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Virtual environment with MONAI Label and this checkout. The server needs older versions of numpy and pydicom than the
# environment of tools/test has, so it has one of its own, which holds what differs and looks up the rest (torch, MONAI,
# SciPy, ...) in that of tools/test. The last line printed is its interpreter.
#
#   bash tools/lib/label_environment.sh [PYTHON]
#
# PYTHON          interpreter of an environment with sa2_monai[dev], 3.10 to 3.12; that of tools/test by default, which is
#                 made when it is missing
# SA2_LABEL_VENV  folder of the environment; that of tools/test with -monailabel behind its name by default, which is
#                 <checkout>/.venv-monailabel (0.7 GB, half a minute, once)
#
# Exit codes: 3 where MONAI Label cannot be at all (Python 3.13 or newer), 1 where it could not be installed.
#
# Nothing is installed when everything is as the last time; else, or when the last time was interrupted, the environment
# is made anew. Beside its interpreter lies apps/monaibundle, the stock app.
#
# MONAI Label imports two functions of torchvision when it starts. The registry's build of torchvision works with the
# registry's torch (CUDA) alone; beside a CPU build of torch it fails ("operator torchvision::nms does not exist"). Where
# it cannot be imported, the stand-in of label_torchvision takes its place.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

requirements="$ROOT/tools/lib/label_requirements.txt"
venv="${SA2_LABEL_VENV:-${SA2_VENV:-$ROOT/.venv}-monailabel}"
python="$venv/bin/python"
isolate_python

if (($# > 0)); then
    PYTHON="$1"
else
    prepare_environment dev >&2
fi
# The folders of packages that are shared: the environment's own come first.
shared="$("$PYTHON" -c 'import sys; print("\n".join(p for p in sys.path if p.endswith(("site-packages", "dist-packages"))))')" ||
    fail "$PYTHON does not run. Give the interpreter of an environment with sa2_monai[dev]."
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
    echo "label_environment.sh: MONAI Label 0.8.5 needs Python 3.10 to 3.12; $PYTHON is newer. Name an older one with SA2_PYTHON and another folder with SA2_VENV." >&2
    exit 3
fi

wanted="$("$PYTHON" -VV; printf '%s\n' "$shared"; cat "$requirements" "$ROOT/tools/constraints.txt")"
complete() {
    [[ -f "$venv/.installed" && "$(<"$venv/.installed")" == "$wanted" ]] && "$python" -c 'import numpy, monailabel.client' 2>/dev/null
}

lock "$venv.lock"
if ! complete; then
    echo "Installing MONAI Label into $venv (half a minute, once) ..." >&2
    "$PYTHON" -m venv --clear "$venv" >&2 || fail "cannot create the virtual environment $venv. Is the folder writable?"
    # Compiling all modules beforehand takes as long as the rest.
    "$python" -m pip install --quiet --no-deps --no-compile --requirement "$requirements" >&2 ||
        fail "MONAI Label could not be installed, see above. Is a package index reachable? SA2_LABEL=0 leaves it out of tools/test."
fi
# Lines in a .pth file, and nothing is built. The environment may have been made from another checkout.
site="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
printf '%s\n' "$ROOT" "$shared" >"$site/sa2_monai.pth.new"
mv "$site/sa2_monai.pth.new" "$site/sa2_monai.pth"
if ! complete; then
    if ! "$python" -c 'import torchvision' >/dev/null 2>&1; then
        cp -r "$ROOT/tools/lib/label_torchvision/torchvision" "$site/"
    fi
    log="$(PATH="$venv/bin:$PATH" monailabel apps --download --name monaibundle --output "$venv/apps" 2>&1)" &&
        "$python" -c 'import sa2_monai.bundle' || fail "MONAI Label does not start in $venv: $(tail -c 2000 <<<"$log")"
    printf '%s' "$wanted" >"$venv/.installed"
fi
echo "$python"
