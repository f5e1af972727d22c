#!/usr/bin/env bash
# Install the servers and clients by other hands that the tests talk to, where that can be done; say so before.
# What cannot be installed is skipped by name in the tests' summary; CI counts a skip as a failure.
set -euo pipefail

declare -A package=([mosquitto]=mosquitto [mosquitto_sub]=mosquitto-clients [coap-client-notls]=libcoap3-bin [chromium]=chromium [node]=nodejs [npm]=npm
    [tshark]=tshark [nats-server]=nats-server [initdb]=postgresql-15 [victoria-metrics]=victoria-metrics)
missing=()
for program in "${!package[@]}"; do
    PATH="$PATH:/usr/sbin:/usr/lib/postgresql/15/bin" command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ -f /usr/share/postgresql/15/extension/postgis.control ] || missing+=(postgresql-15-postgis-3)
[ ${#missing[@]} -gt 0 ] || exit 0

without() { echo "pave: $1; the tests that need ${missing[*]} are skipped. Next: apt install ${missing[*]}"; exit 0; }

command -v apt-get >/dev/null || without "no apt-get here"
sudo=()
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || without "not root, and sudo asks for a password"
    sudo=(sudo -n)
fi
echo "pave: the tests need ${missing[*]} (Debian packages); installing them now"
"${sudo[@]}" apt-get update -qq || without "apt-get update failed"
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    without "apt-get install failed"
# Debian starts a server that it has just installed; the tests start their own, on free ports.
for service in mosquitto:mosquitto nats-server:nats-server postgresql-15:postgresql victoria-metrics:victoria-metrics; do
    if [[ " ${missing[*]} " == *" ${service%:*} "* ]] && systemctl is-active -q "${service#*:}" 2>/dev/null; then
        "${sudo[@]}" systemctl disable -q --now "${service#*:}"
    fi
done
