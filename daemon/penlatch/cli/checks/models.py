"""The shipped models: intact, and answering as they must."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.cli import quiet
from penlatch.cli.checks.finding import Finding
from penlatch.errors import ModelError

if TYPE_CHECKING:
    from penlatch.config import Verify


def intact(verify: Verify) -> Finding:
    """Load the models as the daemon does, hashes checked, and put them through their self-test."""
    try:
        from penlatch.verify.verifier import Verifier  # noqa: PLC0415 - where the runtime is missing, this raises

        with quiet.native_code():
            verifier = Verifier.load(verify.models, threshold=verify.threshold)
            verifier.check()
    except ModelError as error:
        return Finding.fail("models", str(error), remedy="install penlatch again: its models came with it")
    except ImportError as error:
        return Finding.fail("models", f"a library is missing: {error}", remedy="install penlatch again")
    return Finding.ok("models", f"{verifier.version[:12]} on {verifier.runtime}")
