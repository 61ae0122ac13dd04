"""Programs that tests run do not outlive the tests."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests import documented

_ORPHAN = """
import os, signal
from tests import documented
with documented.running_python("import time; time.sleep(600)") as process:
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _goes(pid: int) -> bool:
    ends = time.monotonic() + 30
    with suppress(ProcessLookupError):
        while time.monotonic() < ends:
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        return False
    return True


def test_a_program_goes_when_the_tests_are_killed() -> None:
    done = subprocess.run([sys.executable, "-c", _ORPHAN], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert _goes(int(done.stdout))


def test_a_program_goes_with_its_block() -> None:
    with documented.running_python("import time; time.sleep(600)") as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL
