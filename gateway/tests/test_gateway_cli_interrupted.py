"""Ctrl-C while the command line is still being loaded: one line and status 130, wherever it comes."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import importlib.abc, os, signal, sys, weakref
from pave_gateway.cli import main

class Thing:
    pass

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pave_gateway.cli_doctor":
            {interrupt}
        return None

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv = ["pave-gateway", "check-config", "--site", sys.argv[1]]
main()
"""


@pytest.mark.parametrize(
    "interrupt",
    ["interrupt()", "thing = Thing(); kept = weakref.ref(thing, interrupt); del thing"],
    ids=["between two modules", "where Python drops what is raised"],
)
def test_an_interrupt_while_the_command_is_loaded_ends_it_with_one_line(interrupt: str) -> None:
    site = Path(__file__).parents[2] / "examples" / "bercy" / "site.toml"
    program = PROGRAM.format(interrupt=interrupt)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(site)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")
