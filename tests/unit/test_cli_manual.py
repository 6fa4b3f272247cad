"""The manual pages: every command, action and option is in them, and they render without a warning."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import need
from fastha.cli import manual
from fastha.cli.commands import COMMANDS, actions_of, load, operands_of, options_of, parser_of

PAGES = manual.pages()


def rendered(folder: Path, name: str) -> str:
    """As somebody reads it, on lines without an end."""
    path = folder / name
    path.write_text(PAGES[name])
    done = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=400", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r".\x08", "", done.stdout).replace("\u2010", "-")


def test_there_is_a_page_for_every_command() -> None:
    assert set(PAGES) == {"fastha.8", *(f"fastha-{name}.8" for name in COMMANDS)}


def test_every_action_option_and_help_text_is_on_its_page(tmp_path: Path) -> None:
    need.tool("mandoc")
    for name in COMMANDS:
        text = re.sub(r"\s+", " ", rendered(tmp_path, f"fastha-{name}.8"))
        parser = parser_of(name, load(name))
        for one in (parser, *actions_of(parser).values()):
            for action in (*options_of(one), *operands_of(one)):
                for word in action.option_strings:
                    assert word in text, (name, word)
                help_text = one._get_formatter()._expand_help(action)
                assert re.sub(r"\s+", " ", help_text) in text, (name, help_text)
        for word in actions_of(parser):
            assert f"fastha {name} {word}" in text
        assert "EXIT STATUS" in text
        assert " 0 " in text


def test_the_overview_names_everything(tmp_path: Path) -> None:
    need.tool("mandoc")
    text = rendered(tmp_path, "fastha.8")
    for name, command in COMMANDS.items():
        assert f"fastha-{name}(8)" in text
        assert command.help in text


def test_no_page_makes_mandoc_or_groff_complain(tmp_path: Path) -> None:
    need.tool("mandoc")
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in PAGES]
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *paths], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("", "")
    for path in paths:
        done = subprocess.run(
            ["man", "--warnings", "-l", path], capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-ww", "MANWIDTH": "100"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), path
