#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Chromium for the tests that look at report.html in a browser. The last line printed is its path.
#
#   bash tools/lib/browser.sh          installs it with apt-get where it is missing, this is root, and there is apt-get
#   bash tools/lib/browser.sh --wait   installs nothing, but waits for an installation that has begun
#
# Exit code 1 where there is no browser in the end; nothing else depends on it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

find_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

lock "${SA2_VENV:-$ROOT/.venv}-browser.lock"
if ! find_browser >/dev/null && [[ "${1:-}" != --wait ]] && ((EUID == 0)) && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    limits=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60)
    { timeout 120 apt-get "${limits[@]}" update && timeout 300 apt-get "${limits[@]}" install --yes --no-install-recommends chromium; } >&2 ||
        echo "browser.sh: chromium could not be installed, see above" >&2
fi
find_browser
