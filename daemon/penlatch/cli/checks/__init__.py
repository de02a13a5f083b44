"""What `penlatch doctor` looks at: one module per part of the terminal, each look a function that returns a Finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.cli.checks import backup, broker, certificates, daemon, database, host, models, pen, threshold
from penlatch.cli.checks.finding import Finding
from penlatch.config import DEFAULT_PATH, load
from penlatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Finding", "examine"]


def examine(config_path: Path | None) -> Iterator[Finding]:
    """Look at everything, in the order in which one part needs another; without a configuration, only at the host."""
    path = config_path or DEFAULT_PATH
    yield host.clock()
    yield host.unit()
    try:
        config = load(path)
    except ConfigError as error:
        yield Finding.fail("configuration", str(error), remedy="mend it; penlatch config check tells when it is valid")
        return
    yield Finding.ok("configuration", str(path))
    yield models.intact(config.verify)
    health = daemon.ask(config.control.socket)
    yield daemon.socket(config.control.socket, health)
    told = None if isinstance(health, Exception) else health
    if (target := config.verify.target_fmr) is not None:
        yield threshold.for_target(target, threshold.ask(config.control.socket) if told else None)
    yield database.usable(config.store, told)
    if (kept := backup.kept(config, told)) is not None:
        yield kept
    yield pen.reachable(config.pen, told)
    yield broker.reachable(config, told)
    if config.mqtt and (finding := certificates.lasting(config.mqtt)):
        yield finding
