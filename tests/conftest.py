"""What all tests share: how hypothesis searches, and the record of what runs which form, for docs/support.md."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine an example, or drawing one, may take any time: that is no failure.
settings.register_profile("m890", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("m890")

# A shell lets what it runs in the background ignore Ctrl-C, and tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

RECORD = os.environ.get("M890_SUPPORT")
"""The file that `make support` wants the record in, or nothing."""
_seen: dict[str, set[str]] = defaultdict(set)


def pytest_configure() -> None:
    """Note every form that is made ready to run, under the test file at hand."""
    if not RECORD:
        return
    from m890.emulator import decode

    original = decode._recipe

    def recipe(found: Any, *rest: Any) -> Any:
        module = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[0]
        _seen[found.form.name].add(Path(module).stem)
        return original(found, *rest)

    decode._recipe = recipe


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write what this process has seen; the one that the workers report to joins it, if all tests passed."""
    if not RECORD:
        return
    worker = getattr(session.config, "workerinput", {}).get("workerid")
    parts = sorted(Path(RECORD).parent.glob(f"{Path(RECORD).name}.*"))
    if worker is None:
        for part in parts:
            for name, modules in json.loads(part.read_text(encoding="utf-8")).items():
                _seen[name].update(modules)
            part.unlink()
    if worker is not None or exitstatus == 0:
        text = json.dumps({name: sorted(_seen[name]) for name in sorted(_seen)}, indent=0)
        Path(f"{RECORD}.{worker}" if worker else RECORD).write_text(text + "\n", encoding="utf-8")
