import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.errors import StateFolderHeldError
from api.state_lock import FILE_NAME, address_of, held, running_server

ADDRESS = "http://127.0.0.1:8000"
REPOSITORY = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
from api.state_lock import held
with held(Path(sys.argv[1]), "http://127.0.0.1:9"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_held_folder_tells_the_address_and_a_free_one_nothing(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    assert running_server(state) is None
    with held(state, ADDRESS):
        assert running_server(state) == ADDRESS
    assert running_server(state) is None


def test_a_second_holder_is_told_pid_and_address(tmp_path: Path) -> None:
    with (
        held(tmp_path, ADDRESS),
        pytest.raises(
            StateFolderHeldError, match=rf"process {os.getpid()}, which serves {ADDRESS}"
        ),
        held(tmp_path, "http://127.0.0.1:1"),
    ):
        pass


def test_what_a_dead_process_left_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"pid": 1, "address": ADDRESS}))
    assert running_server(tmp_path) is None
    with held(tmp_path, ADDRESS):
        pass


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert running_server(tmp_path) == "http://127.0.0.1:9"
        with (
            pytest.raises(StateFolderHeldError, match=f"process {process.pid}"),
            held(tmp_path, ADDRESS),
        ):
            pass
        process.kill()
        process.wait()
    assert running_server(tmp_path) is None


def test_a_look_at_the_lock_keeps_no_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with (tmp_path / FILE_NAME).open("w+b") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)  # as `running_server` holds it for a moment

        def unlock(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(time, "sleep", unlock)
        with held(tmp_path, ADDRESS):
            assert running_server(tmp_path) == ADDRESS
    assert len(waits) == 1


def test_damaged_content_under_a_lock_is_survived(tmp_path: Path) -> None:
    with held(tmp_path, ADDRESS):
        (tmp_path / FILE_NAME).write_text("{")
        assert running_server(tmp_path) is None
        with pytest.raises(StateFolderHeldError, match="another process"), held(tmp_path, ADDRESS):
            pass


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_address_is_one_that_can_be_dialled(host: str, address: str) -> None:
    assert address_of(host, 80) == address
