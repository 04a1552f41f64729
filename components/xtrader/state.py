"""Sets old state aside for a fresh start; nothing is ever deleted."""

from pathlib import Path

from components.contracts.errors import StorageError


def archive_state(state: Path, now_ns: int) -> Path | None:
    """Move an account's state folder beside itself; None where there was none."""
    if not state.exists():
        return None
    aside = state.with_name(f"{state.name}.aside-{now_ns // 1_000_000_000}")
    try:
        while aside.exists():
            aside = aside.with_name(f"{aside.name}x")
        state.rename(aside)
    except OSError as error:
        raise StorageError(f"set {state} aside: {error.strerror or error}") from error
    return aside
