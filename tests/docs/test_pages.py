"""Pages of the documentation: what they show runs, and prints what they say it prints."""

from __future__ import annotations

import doctest
from pathlib import Path

import page_blocks
import pytest
import run_pages
from page_blocks import PAGES, ROOT, BlockFailed, agrees, blocks, pages, pictures, run_page

ALL = [str(page.relative_to(PAGES)) for page in pages()]
QUICK = "explanation/verification.md"


def page(tmp_path: Path, text: str) -> Path:
    """A page of the documentation, elsewhere."""
    file = tmp_path / "page.md"
    file.write_text(text)
    return file


@pytest.fixture
def own_root(tmp_path, monkeypatch):
    monkeypatch.setattr(page_blocks, "ROOT", tmp_path)
    return tmp_path


def test_the_quick_page_is_true():
    assert run_pages.check(PAGES / QUICK) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name != QUICK])
def test_the_page_is_true(name):
    assert run_pages.check(PAGES / name) == []


def test_no_page_shows_an_output_that_says_nothing():
    for name in ALL:
        for block in blocks((PAGES / name).read_text()):
            shown = block.language == "text" and block.text.replace("...", "").strip()
            assert block.language != "text" or shown, f"{name}:{block.line}"


def test_every_guide_runs_something_and_shows_a_picture():
    guides = [page for page in (PAGES / "how-to").glob("*.md") if page.stem != "index"]
    assert len(guides) == 8
    for guide in guides:
        text = guide.read_text()
        assert pictures(text), guide
        assert any(page_blocks.runs(block) for block in blocks(text)), guide


def test_pictures_of_runs_are_there():
    for name in ALL:
        for _, address in pictures((PAGES / name).read_text()):
            assert (PAGES / name).parent.joinpath(address).is_file(), (name, address)


def test_blocks_run_in_order_in_one_folder(own_root, tmp_path):
    shown = page(
        tmp_path,
        '```python title="six.py"\nprint(6)\n```\n```shell\npython six.py  # a comment\n```\n```text\n6\n```\n'
        "```python\nx = 7\nprint(x)\n```\n```text\n8\n```\n```python\nprint(x + 1)\n```\n```bash\nnot run\n```\n",
    )
    folder = tmp_path / "run"
    folder.mkdir()
    ran = list(run_page(shown, folder))
    assert [one.printed for one in ran] == ["6\n", "7\n", "8\n"]
    assert [one.shown.text if one.shown else None for one in ran] == ["6\n", "8\n", None]


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("```python\nraise SystemExit(4)\n```\n", "page.md:1: exit status 4"),
        ("```shell\npython -c 'import gone'\n```\n", "No module named 'gone'"),
        ("```shell\npython -c 1  # exit status 2\n```\n", "page.md:1: exit status 0"),
    ],
)
def test_a_block_that_fails_is_told(own_root, tmp_path, block, told):
    with pytest.raises(BlockFailed, match=told):
        list(run_page(page(tmp_path, block), tmp_path))


def test_an_output_that_differs_is_told_and_can_be_renewed(own_root, tmp_path):
    wrong = page(tmp_path, "Head\n\n```python\nprint(1)\nprint(2)\n```\n\n```text\n3\n```\n\nTail\n")
    (problem,) = run_pages.check(wrong)
    assert "page.md:8: the page shows something else" in problem
    assert run_pages.check(wrong, write=True) == []
    assert wrong.read_text() == "Head\n\n```python\nprint(1)\nprint(2)\n```\n\n```text\n1\n2\n```\n\nTail\n"
    assert run_pages.check(wrong) == []


def test_a_picture_that_does_not_come_out_is_told(own_root, tmp_path):
    wrong = page(tmp_path, "```python\nx = 1\n```\n<!-- picture: out/a.png -->\n![a](pictures/a.png)\n")
    assert run_pages.check(wrong) == ["page.md: no file out/a.png came out for the picture pictures/a.png"]


def test_dots_leave_something_out_and_nothing_else_does():
    assert agrees("a\nb\nc\n", "a\n...\nc\n")
    assert agrees("a 1.5 s\n", "a ... s\n")
    assert not agrees("a\nb\n", "a\n")
    assert not agrees("a.b\n", "axb\n")
    assert doctest.testmod(page_blocks).failed == 0


def test_no_page_names_this_machine():
    for file in [*PAGES.glob("**/*.md"), *PAGES.glob("**/*.py"), ROOT / "mkdocs.yml"]:
        assert str(Path.home()) + "/" not in file.read_text() or str(Path.home()) == "/", file
