"""Types of the fixtures that are functions, for the annotations of tests that use them."""

from __future__ import annotations

from collections.abc import Callable

from penlatch.report.publisher import Publisher
from support.broker import Mosquitto

MakeBroker = Callable[..., Mosquitto]
"""Starts a Mosquitto; takes the fields of `support.broker.Mosquitto` by name."""

Launch = Callable[..., Publisher]
"""Makes a publisher named `door` for the broker on a port; takes the keys of `config.Mqtt` by name."""
