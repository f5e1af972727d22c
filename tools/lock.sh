#!/usr/bin/env bash
# lock.sh UV: resolve pyproject.toml into requirements/*.txt, with hashes and without naming a registry.
set -euo pipefail
uv=$1
lock() { "$uv" pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock" "$@"; }
lock --all-extras pyproject.toml -o requirements/dev.txt
lock --extra gateway --extra emulator --extra tools --extra demo --extra build pyproject.toml -c requirements/dev.txt -o requirements/demo.txt
lock --group hil -o requirements/hil.txt
lock --group rival -o requirements/rival.txt
