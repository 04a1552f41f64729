"""A folder of configuration of a test's own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "config"


@dataclass(frozen=True)
class ConfigurationFolder:
    root: Path

    def write(self, name: str, text: str) -> None:
        (self.root / "config" / f"{name}.toml").write_text(text)

    def add(self, name: str, text: str) -> None:
        path = self.root / "config" / f"{name}.toml"
        path.write_text(f"{path.read_text()}\n{text}\n")

    def environ(self, **variables: str) -> dict[str, str]:
        """Return the environment of a process that uses this folder."""
        return {"XTRADER_CONFIG_DIR": str(self.root / "config"), **variables}


def shipped_configuration(root: Path) -> ConfigurationFolder:
    """Copy what the project ships."""
    shutil.copytree(SHIPPED, root / "config")
    return ConfigurationFolder(root)


def shared_configuration(root: Path) -> ConfigurationFolder:
    """Write only the tables that every process reads."""
    folder = ConfigurationFolder(root)
    (root / "config").mkdir()
    folder.write("base", SHARED_BASE)
    folder.write("dev", '[account]\nname = "sandbox"\n[venues]\nallowed_hosts = ["127.0.0.1", "localhost"]\n')
    folder.write(
        "prod",
        '[account]\nname = "paper"\n[venues]\nallowed_hosts = ["paper-api.alpaca.markets", "api.alpaca.markets"]\n',
    )
    return folder


SHARED_BASE = """
[runtime]
state_dir = "var"
run_dir = ""
health_host = "127.0.0.1"
health_port = 0
log_format = "auto"
log_level = "info"
drain_timeout_ms = 2_000
watchdog_timeout_ms = 15_000

[venues]
allowed_hosts = []
live_trading = false
"""
