#!/usr/bin/env bash
# venv.sh PYTHON VENV LOCK: make the virtual environment and install requirements/LOCK.txt into it, and this project too
# unless LOCK is hil (labgrid brings a pyserial of its own) or rival. Each lock is whole: pip looks for no dependencies.
set -euo pipefail
python=$1 venv=$2 lock=$3

fail() { echo "pave: $1" >&2; exit 2; }

command -v "$python" >/dev/null || fail "no $python here. Next: install Python 3.11 or newer (Debian: apt install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1). Next: make PYTHON=python3.11 (or newer)"

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "$python has no venv module. Next: sudo apt install python3-venv"
    echo "pave: installing Debian's python3-venv, which $python lacks"
    { apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; } || fail "apt-get could not. Next: apt install python3-venv"
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # none, or one that was never finished
    echo "pave: making $venv with $("$python" -V)"
    "$python" -m venv --clear "$venv" || fail "$python could not make $venv. Next: its own message is above; check the free disk"
fi
echo "pave: installing requirements/$lock.txt"
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r "requirements/$lock.txt" ||
    fail "pip could not install requirements/$lock.txt (its own message is above). Next: check the network and the free disk, then make again"
[ "$lock" = hil ] || [ "$lock" = rival ] || "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ||
    fail "pip could not install this project into $venv (its own message is above)"
touch "$venv/.$lock"
