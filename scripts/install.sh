#!/usr/bin/env bash
# Install host, agent and relay from this checkout into a folder of their own: scripts/install.sh [FOLDER]
#
# Nothing else on the machine changes but two links in LINKS (default /usr/local/bin). Every package is checked against
# the hashes in scripts/requirements/install.txt. Run it again to upgrade: the new programs are put in place in one step,
# and the old ones stay in FOLDER.old. WHEELS=folder installs from there and asks no network.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${1:-/opt/connector-host}"
links="${LINKS:-/usr/local/bin}"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or later is needed. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2
    exit 1
}
mkdir -p "$(dirname "$folder")" "$links" 2>/dev/null || true
for place in "$(dirname "$folder")" "$links"; do
    [ -w "$place" ] || {
        echo "$place may not be written by this account. Run it with sudo, or name a folder: scripts/install.sh ~/connector-host" >&2
        exit 1
    }
done

# A virtual environment knows its own path, so the new one is made where it will stay, while the old one steps aside.
upgrade=
restore() {
    trap - ERR
    trap '' INT TERM HUP # once only, and to its end: a second Ctrl-C would leave neither the old one nor the new
    if [ -z "$upgrade" ]; then
        rm -rf "$folder"
    elif [ -d "$folder.old" ]; then
        rm -rf "$folder"
        mv "$folder.old" "$folder"
    fi
    echo "The installation failed; what was there before is put back." >&2 || true # the terminal may be gone
    exit "$1"
}
if [ -e "$folder" ]; then
    [ -f "$folder/pyvenv.cfg" ] || { echo "$folder exists and is not an installation of this; name another folder." >&2; exit 1; }
    rm -rf "$folder.old"
    upgrade=yes
fi
trap 'restore $?' ERR
trap 'restore 129' HUP
trap 'restore 130' INT
trap 'restore 143' TERM
[ -z "$upgrade" ] || mv "$folder" "$folder.old"
"$python" -m venv "$folder"
offline=()
[ -z "${WHEELS:-}" ] || offline=(--no-index --find-links "$WHEELS")
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$folder/bin/python" -m pip install --quiet --no-deps --require-hashes "${offline[@]}" --requirement scripts/requirements/install.txt
"$folder/bin/python" -m pip install --quiet --no-deps --no-build-isolation --no-index .
for program in connector-host provisioning-agent; do
    "$folder/bin/$program" --version >/dev/null
    ln -sfn "$folder/bin/$program" "$links/$program"
done
trap - ERR INT TERM HUP
echo "$("$links/connector-host" --version) is installed in $folder."
echo "Next: sudo mkdir -p /etc/connector-host && sudo connector-host init --config /etc/connector-host/connector-host.toml"
