"""The documents are true to the project: links and paths exist, named functions are where they are said to be."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.project import ROOT, relative_name

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:components|tests|docs|docker|config|benchmarks|models)/[\w./-]+)`")
PLACE = re.compile(r"`(?:(\w+)\.)?(\w+)` in `(components/[\w./]+\.py)`")


def missing(document: Path, text: str) -> list[str]:
    """Return the links and paths of a document that lead nowhere."""
    links = [name for name in LINK.findall(text) if not (document.parent / name).exists()]
    paths = [] if document.name == "CHANGELOG.md" else PATH.findall(text)  # which names what is gone
    return links + [name for name in paths if not (ROOT / name).exists()]


def misplaced(text: str) -> list[str]:
    """Return each "`Class.function` in `file`" that the file does not define."""
    return [
        f"{owner}.{name} in {path}"
        for owner, name, path in PLACE.findall(text)
        for code in [(ROOT / path).read_text()]
        if not re.search(rf"\b(?:def|class) {name}\b", code) or (owner and not re.search(rf"\bclass {owner}\b", code))
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative_name)
def test_every_link_and_path_of_a_document_exists(path: Path) -> None:
    assert missing(path, path.read_text()) == []


def test_the_architecture_names_functions_where_they_are() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert len(PLACE.findall(text)) >= 4
    assert misplaced(text) == []


def test_the_picture_of_the_live_view_shows_a_running_system() -> None:
    texts = [node.text for node in ET.parse(ROOT / "docs" / "live_view.svg").iter() if node.text]  # noqa: S314 -- ours
    assert {"ACTIVE", "ORDERS", "EVENTS"} <= set(texts)
    assert any("filled" in text for text in texts)


def test_the_readme_shows_a_first_run() -> None:
    transcript = (ROOT / "README.md").read_text().partition("<!-- transcript")[2].partition("<!-- end of transcript")[0]
    assert "first fill after" in transcript
    assert "Traceback" not in transcript


@pytest.mark.parametrize("text", ["[a](docs/nowhere.md)", "see `components/risk/nowhere.py`", "see `tests/nowhere/`"])
def test_a_planted_path_that_leads_nowhere_is_found(text: str) -> None:
    assert missing(ROOT / "README.md", text)


@pytest.mark.parametrize("name", ["nothing", "Journal.nothing", "Nothing.write"])
def test_a_planted_function_that_is_elsewhere_is_found(name: str) -> None:
    assert misplaced(f"`{name}` in `components/runtime/journal/journal.py`")
