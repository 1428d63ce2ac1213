"""Every wrong scenario file through the command line: exit status 2, one message, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import test_bad_scenarios as bad
from typer.testing import CliRunner

from analysis.cli import app


def validated(path: Path, *options: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["validate", str(path), *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def assert_one_message(status: int, output: str, errors: str) -> None:
    assert status == 2
    assert output == ""
    assert errors.startswith("error: ")
    assert errors.count("error:") == 1
    assert errors.endswith("\n")
    assert "Traceback" not in errors
    assert all(line.isprintable() for line in errors.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    bad.WRONG,
    ids=[f"{row[3] or 'yaml'}={row[1][:20]!r}" for row in bad.WRONG],
)
def test_one_mistake_is_one_line(tmp_path, old, new, line, field, words):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(bad.GOOD.replace(old, new, 1).encode("utf-8", "surrogatepass"))
    status, output, errors = validated(path)
    assert_one_message(status, output, errors)
    place = f"error: {path}:{line}: {field}: " if field else f"error: {path}:{line}: "
    assert errors.startswith(place)
    assert words in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "content", [b"", b"- a\n", b"\x89PNG\0", b"a: \xff", b"a: &a [*a]", b"[" * 5000, b"%YAML 3.0\n---\na: 1"]
)
def test_files_that_are_no_scenario(tmp_path, content):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    assert_one_message(*validated(path))


def test_places_that_are_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "absent.yaml", Path("/dev/zero"), Path("a\0b.yaml"), Path("a\nb.yaml")):
        assert_one_message(*validated(path))


def test_several_mistakes_are_one_message_of_several_lines(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(bad.GOOD.replace("2%/d", "2%").replace("30d", "30"))
    status, output, errors = validated(path)
    assert_one_message(status, output, errors)
    assert [part.partition(":")[0] for part in errors.split(f"{path}:")[1:]] == ["2", "9"]


def test_wrong_files_print_no_json_either(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(bad.GOOD.replace("30d", "30"))
    assert_one_message(*validated(path, "--json"))


def test_the_good_one_is_good(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(bad.GOOD)
    assert validated(path) == (0, f"{path}: valid (A test)\n", "")
    status, output, errors = validated(path, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(output)["valid"] is True


@pytest.mark.parametrize("command", ["show", "run", "compare"])
def test_other_commands_say_the_same(tmp_path, command):
    path = tmp_path / "wrong.yaml"
    path.write_text(bad.GOOD.replace("2%/d", "2%"))
    done = CliRunner().invoke(app, [command, str(path)])
    assert (done.exit_code, done.stdout, done.stderr) == validated(path)


def test_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(bad.GOOD.replace("2%/d", "2%"))
    done = subprocess.run(
        [sys.executable, "-m", "analysis.cli", "validate", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_one_message(done.returncode, done.stdout, done.stderr)
