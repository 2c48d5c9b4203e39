"""Settings shared by all tests."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run of CI, so that a red run is the change's fault; more and fresh ones elsewhere.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("developer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_configure() -> None:
    """A shell that runs the tests in the background hands down an ignored SIGINT; programs under test need theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/cluster starts real processes: marked here, so that no file can forget it."""
    for item in items:
        if "cluster" in item.path.parts:
            item.add_marker(pytest.mark.cluster)
