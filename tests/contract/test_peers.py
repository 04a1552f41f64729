"""The peers of the benchmarks are pinned like everything else, and a missing one is reported in one line."""

import re
import sys

import pytest

from benchmarks.peers import environment

PINS = environment.PINS.read_text()


def test_the_peers_lock_pins_by_hash_and_names_no_address() -> None:
    pins = re.split(r"\n(?=\S)", PINS.strip())
    assert not [pin for pin in pins if not re.match(r"[a-z0-9-]+==\S+ \\\n +--hash=sha256:", pin)]
    assert not re.search(r"://|index-url|find-links| @ ", PINS)


@pytest.mark.parametrize("peer", ["cryptofeed==2.4.1", "nautilus-trader==1.221.0"])
def test_the_versions_that_the_figures_are_about_are_the_ones_locked(peer: str) -> None:
    assert f"\n{peer} \\" in PINS


def test_a_peer_that_cannot_be_installed_is_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^the peers of the benchmark cannot be installed: no way$"):
        environment._do([sys.executable, "-c", "import sys; print('noise'); sys.exit('much ado\\nno way')"])  # noqa: SLF001 -- the installing itself takes half a minute
