"""Checks of the machine: Python, the disk, the clock, and occupied ports."""

import ctypes
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from components.contracts.errors import StorageError
from components.runtime.filesystem import REAL_DISK
from components.xtrader.doctor.finding import Finding, blocker, ok, warning
from components.xtrader.formatting import format_timestamp

PYTHON_MIN: Final = (3, 11)
FREE_BYTES_MIN: Final = 64 * 1024 * 1024
"""One journal segment; with less free space `up` would soon stop."""
FREE_BYTES_WARNING: Final = 1024 * 1024 * 1024
CLOCK_NS_MIN: Final = 1_750_000_000_000_000_000
"""Mid 2025: an earlier time means that the clock was never set."""
CLOCK_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""
TIMEX_BYTES: Final = 512
"""More than `struct timex` takes on any machine."""


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Check the interpreter's version."""
    text = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if version < PYTHON_MIN:
        least = ".".join(map(str, PYTHON_MIN))
        return blocker("python", text, f"needs {least} or later: remove .venv, then make setup PYTHON=python{least}")
    return ok("python", text)


def check_disk(state: Path) -> Iterator[Finding]:
    """Check the file system of the state folder; the folder itself need not exist yet."""
    folder = nearest_existing(state)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"?")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        fix = "make it writable for this user, or set runtime.state_dir"
        yield blocker("disk", f"{folder}: cannot write: {error.strerror or error}", fix)
        return
    yield check_free_space(folder, os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize)
    if _is_in_memory(folder):
        fix = "enough for a trial; for real trading set runtime.state_dir to a folder on a disk"
        yield warning("disk", f"{folder} is in memory: it does not survive a restart of the machine", fix)


def check_free_space(folder: Path, free_bytes: int) -> Finding:
    """Compare the free space with the two limits."""
    text = f"{folder}: writable, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < FREE_BYTES_MIN:
        return blocker("disk", text, "free some space, or set runtime.state_dir to a larger disk")
    if free_bytes < FREE_BYTES_WARNING:
        return warning("disk", text, "journals grow by about 2 GB per month of busy trading: free some space")
    return ok("disk", text)


def check_clock(now_ns: int, newest_record_ns: int | None, state: int | None = None) -> Finding:
    """Compare the clock with the minimum date, the journals' last record, and the kernel's synchronisation state."""
    text = format_timestamp(now_ns)
    if now_ns < CLOCK_NS_MIN:
        return blocker("clock", f"{text} is before this release", "set the clock: timedatectl set-ntp true")
    if newest_record_ns is not None and newest_record_ns > now_ns:
        found = f"{text}, but the journals were last written at {format_timestamp(newest_record_ns)}"
        return warning(
            "clock", found, "the clock was set back: timedatectl set-ntp true, and wait until that time has passed"
        )
    if (kernel_clock_state() if state is None else state) == CLOCK_UNSYNCHRONISED:
        return warning("clock", f"{text}, not synchronised with any source", "timedatectl set-ntp true")
    return ok("clock", f"{text}, synchronised")


def kernel_clock_state() -> int:
    """Return the state that adjtimex reports; -1 if the call fails."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))


def check_port(host: str, number: int) -> Finding:
    """Check a health port that the configuration fixes. Under `up` every process takes an ephemeral port."""
    if number == 0:
        return ok("ports", "every process takes an ephemeral port: xtrader status prints it")
    try:
        with socket.create_server((host, number)):
            return ok("ports", f"{host}:{number} is free")
    except OSError as error:
        found = f"{host}:{number}: {os.strerror(error.errno or 0)}{port_holder(number)}"
        fix = "`up` takes ephemeral ports; for a process run alone stop that process, or set runtime.health_port = 0"
        return warning("ports", found, fix)


def port_holder(number: int, proc: Path = Path("/proc")) -> str:
    """Return which process listens on the port, as far as this user may read /proc."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(number, proc)}
    for folder in proc.glob("[0-9]*"):
        if sockets and sockets & set(_link_targets(folder / "fd")):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            return f", held by process {folder.name} ({command[:80]})"
    return ""


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest ancestor that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _listening_inodes(number: int, proc: Path) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (row.split() for row in rows):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == number:
                yield fields[9]


def _link_targets(folder: Path) -> Iterator[str]:
    try:
        for one in folder.iterdir():
            yield str(one.readlink())
    except OSError:
        return  # another user's process, or one that has just ended


def _is_in_memory(folder: Path) -> bool:
    try:
        return REAL_DISK.is_in_memory(folder)
    except StorageError:
        return False
