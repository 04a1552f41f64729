"""Nothing in the repository looks like a secret, except what is listed with a reason."""

from base64 import b64encode
from hashlib import blake2b

import pytest

from tests.support.project import ROOT, project_texts, relative_name
from tests.support.secret_scan import findings

DRAWN = blake2b(b"as good as drawn").digest()
PUBLIC = {path.name for path in ROOT.glob("requirements*.lock")}  # hashes of published files


def test_no_text_of_the_project_holds_a_secret() -> None:
    suspicious = [
        f"{relative_name(path)}:{number}: looks like {found}"
        for path, text in project_texts()
        if relative_name(path) not in PUBLIC
        for number, found in findings(text)
    ]
    assert not suspicious


# Each is concatenated here, so that this file holds none either.
@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "key: P" + "K" + "7Q2WX9ZL3MN8RT5VYB",
        "AK" + "IA" + "J4XQ7WZN2MPRT6LV",
        "gh" + "p_" + "a1B2c3D4e5F6" * 3,
        "https://user" + ":hunter2@example.org/",
        f'APCA_API_SECRET_KEY = "{DRAWN[:20].hex()}"',
        f"  password: {b64encode(DRAWN[:21]).decode()}",
        f"seal {b64encode(DRAWN[:48]).decode()}",
    ],
    ids=["private key", "venue key", "cloud key", "repository token", "address", "secret", "password", "random"],
)
def test_a_secret_is_found(line: str) -> None:
    assert [number for number, _ in findings(f"innocent\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    [
        'secret = "env:APCA_API_SECRET_KEY"',
        'secret = "file:/run/secrets/alpaca"',
        "export APCA_API_SECRET_KEY=…",
        "token = request.match_info",
        f"model_hash = {DRAWN[:32].hex()}",
        "test_a_secret_that_others_may_read_is_refused_with_the_command_that_mends_it",
        "https://example.org:8080/path@2",
    ],
)
def test_an_innocent_line_is_left_alone(line: str) -> None:
    assert not list(findings(line))
