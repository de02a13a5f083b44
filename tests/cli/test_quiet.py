"""What native code prints is kept off standard error, and nothing else is."""

import os

import pytest

from penlatch.cli import quiet


def test_native_output_is_hidden_and_ours_before_and_after_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with quiet.native_code():
        os.write(2, b"greeting ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_standard_error_comes_back_after_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), quiet.native_code():
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
