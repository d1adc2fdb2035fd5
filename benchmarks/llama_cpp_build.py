"""Where llama.cpp lies on this machine, and how it is built from its source distribution.

Each build has a Python environment of its own in the user's cache, named after its version, its
recipe and the processor (native code of one processor may crash on another). Nothing is put into
the environment that runs the benchmarks. Does not know what is measured.
"""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

VERSION = "0.3.36"
_CMAKE_ARGS = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
_COMPILERS = ("c++", "g++", "clang++")
_STAMP = "built"
_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]")

# GCC 12's tile intrinsics do not tell the optimiser what memory they read: the stores before them
# are removed, and llama.cpp dies of a protection fault at the first product on a processor with
# AMX. So the peer is given the same intrinsics with their memory named.
_AMX_HEADER = """\
#pragma once
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) \\
    __asm__ volatile("ldtilecfg\\t%0" ::"m"(*(const char(*)[64])(config)))
#if defined(_tile_loadd_internal)
#undef _tile_loadd
#define _tile_loadd(dst, base, stride) \\
    do { __asm__ volatile("" ::: "memory"); _tile_loadd_internal(dst, base, stride); } while (0)
#endif
#endif
"""

OnProgress = Callable[[str], None]


class PeerError(RuntimeError):
    """The peer cannot be built, or its process failed."""


def peers_folder() -> Path:
    """Return the folder of all peers and of what they need, in the user's cache."""
    return platformdirs.user_cache_path("causerie", appauthor=False) / "peers"


def build_folder(peers: Path) -> Path:
    """Return the folder that this version and recipe have on this processor."""
    recipe = "\n".join((sys.version, _CMAKE_ARGS, _AMX_HEADER, _processor()))
    digest = hashlib.blake2b(recipe.encode(), digest_size=5).hexdigest()
    return peers / f"llama-cpp-python-{VERSION}-{digest}"


def find(peers: Path) -> Path | None:
    """Return the interpreter that has a finished build, None where there is none."""
    folder = build_folder(peers)
    return _interpreter(folder) if (folder / _STAMP).is_file() else None


def find_or_build(peers: Path, on_progress: OnProgress) -> Path:
    """Return the interpreter that has llama.cpp; builds for some minutes where it is missing.

    Raises:
        PeerError: no compiler, or the build failed; names the log.
    """
    peers.mkdir(parents=True, exist_ok=True)
    folder = build_folder(peers)
    with FileLock(peers / f"{folder.name}.lock"):
        if found := find(peers):
            return found
        if (compiler := os.environ.get("CXX") or _first_compiler()) is None:
            raise PeerError(
                "llama.cpp is built from source and there is no C++ compiler here; install one of"
                f" {', '.join(_COMPILERS)} (on Debian: apt install g++) or leave --peer out"
            )
        if folder.exists():
            shutil.rmtree(folder)  # the rest of a build that was interrupted
        on_progress(f"building llama.cpp (llama-cpp-python {VERSION}) with {compiler}")
        _build(folder, peers / f"{folder.name}.log", on_progress)
        return _interpreter(folder)


def _build(folder: Path, log: Path, on_progress: OnProgress) -> None:
    header = folder / "amx_memory.h"
    python = str(_interpreter(folder))
    install = ["-m", "pip", "install", "--verbose", "--disable-pip-version-check"]
    # a wheel in pip's cache may have been built by another recipe
    source = ["--no-cache-dir", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
    environment = os.environ | {
        "CMAKE_ARGS": _CMAKE_ARGS,
        "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1),
        "CXXFLAGS": f"{os.environ.get('CXXFLAGS', '')} -include {shlex.quote(str(header))}".strip(),
    }
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        _run([sys.executable, "-m", "venv", str(folder)], environment, output.write)
        header.write_text(_AMX_HEADER, encoding="utf-8")
        told = 0

        def on_line(line: str) -> None:
            nonlocal told
            output.write(line)
            if step := _STEP.match(line):
                percent = 100 * int(step[1]) // int(step[2])
                if percent >= told + 20:
                    told = percent
                    on_progress(f"{percent} % compiled, {time.monotonic() - started:.0f} s")

        _run([python, *install, *source], environment, on_line)
        _run([python, "-I", "-c", "import llama_cpp"], environment, output.write)
    (folder / _STAMP).write_text("", encoding="utf-8")
    on_progress(f"built in {time.monotonic() - started:.0f} s")


def _run(command: list[str], environment: dict[str, str], on_line: Callable[[str], object]) -> None:
    """Run a command of the build; each line of its output goes to `on_line`."""
    last = ""
    with subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            on_line(line)
            last = line.strip() or last
    if process.returncode != 0:
        raise PeerError(
            f"llama.cpp could not be built ({Path(command[0]).name} {' '.join(command[1:4])} ended"
            f" with {process.returncode}): {last}; the log is beside the build in the cache folder"
        )


def _interpreter(folder: Path) -> Path:
    if os.name == "nt":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def _first_compiler() -> str | None:
    return next((name for name in _COMPILERS if shutil.which(name)), None)


def _processor() -> str:
    """Return what native code depends on: the processor's model and its instruction sets."""
    facts: dict[str, str] = {}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "flags", "Features"}:
            facts.setdefault(key.strip(), " ".join(sorted(value.split())))
    return repr(sorted(facts.items())) if facts else f"{platform.machine()} {platform.processor()}"
