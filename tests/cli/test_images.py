"""The `image` verb: what it refuses before any engine is asked."""

from __future__ import annotations

import pytest

from cli.verb_group import run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build", "--package", "pip:pandas"], "packages are an agent's"),
        (["build", "main", "--package", "pandas"], "should begin with apt:, pip: or npm:"),
        (["build", "main", "--package", "pip:tiny;rm"], "--package 'pip:tiny;rm' should be a package as pip names it"),
        (["build", "main", "--package", "pip:--index-url=x"], "should be a package as pip names it"),
        (["build", "--with", "emacs"], "emacs"),
        (["refresh", "--every", "9999"], "9999"),
        (["bild"], "image build"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what would do; exit code 2."""
    assert run(["image", *words]) == 2
    assert told in capsys.readouterr().err
