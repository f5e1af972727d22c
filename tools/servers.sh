#!/usr/bin/env bash
# Install the servers and clients by other hands that the tests talk to, where that can be done; say so before.
# What cannot be installed is skipped by name in the tests' summary; CI counts a skip as a failure.
set -euo pipefail

declare -A package=([mosquitto]=mosquitto [coap-client-notls]=libcoap3-bin [chromium]=chromium)
missing=()
for program in "${!package[@]}"; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "pave: no ${missing[*]} here, and no apt-get to install them: the tests that need them are skipped"
    exit 0
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "pave: no ${missing[*]} here; next: sudo apt install ${missing[*]}. The tests that need them are skipped"
        exit 0
    fi
    sudo=(sudo -n)
fi
echo "pave: the tests need ${missing[*]} (Debian packages); installing them now"
"${sudo[@]}" apt-get update -qq
# No service is to start by itself: the tests start their own, on free ports.
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
if command -v systemctl >/dev/null && systemctl is-active -q mosquitto 2>/dev/null; then
    echo "pave: stopping the mosquitto service that Debian started"
    "${sudo[@]}" systemctl disable -q --now mosquitto
fi
