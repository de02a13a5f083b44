"""Which version of MQTT to speak: 5, or 3.1.1 where the broker speaks no other."""

from __future__ import annotations

from paho.mqtt.enums import MQTTProtocolVersion as Version

SILENCES = 2
"""Attempts that a broker may leave without a CONNACK before the other version is tried.

MQTT 3.1.1 (3.1.2.2) asks for a CONNACK that says so, yet some brokers just close. One that is restarting closes as
well, and must not cost version 5, which alone tells a refused publish from a taken one.
"""

NAMES = {Version.MQTTv5: "MQTT 5", Version.MQTTv311: "MQTT 3.1.1"}


class Negotiation:
    """Remembers, for the life of the process, what the broker has shown to speak."""

    def __init__(self) -> None:
        self.version = Version.MQTTv5
        """What the next CONNECT speaks."""
        self._settled = False
        self._silences = 0

    def __str__(self) -> str:
        return NAMES[self.version]

    @property
    def stepped_down(self) -> bool:
        """Whether version 5 was given up."""
        return self.version is Version.MQTTv311

    def accepted(self) -> None:
        """Note a CONNACK of success: this version is kept, whatever silence follows."""
        self._settled = True
        self._silences = 0

    def unsupported(self) -> bool:
        """Note a CONNACK `unsupported protocol version`; return whether the other version is worth a try at once."""
        stepping_down = self.version is Version.MQTTv5
        self._switch()
        return stepping_down

    def unanswered(self) -> None:
        """Note that the broker closed, or said nothing, before a CONNACK."""
        if self._settled:
            return
        self._silences += 1
        if self._silences >= SILENCES:
            self._switch()

    def _switch(self) -> None:
        self.version = Version.MQTTv311 if self.version is Version.MQTTv5 else Version.MQTTv5
        self._settled = False
        self._silences = 0
