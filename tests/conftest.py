"""Options that every test may look at."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files anew; review the diff")


@pytest.fixture
def rewrites_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden", default=False))
