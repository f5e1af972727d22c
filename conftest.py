"""A skip is a named hole in what was tested: CI counts it as a failure.

But for other people's data, which are no part of the project and may not be copied into it: they lie beside the
checkout or they do not.
"""

import os
from typing import Any

import pytest

_ALLOWED = "not beside the checkout"


def _counted(reporter: pytest.TerminalReporter) -> list[Any]:
    skipped = reporter.stats.get("skipped", []) if os.environ.get("CI") else []
    return [report for report in skipped if _ALLOWED not in report.longrepr[2]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if counted := _counted(terminalreporter):
        terminalreporter.section("skipped, which CI counts as failed")
        for report in counted:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _counted(reporter) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
