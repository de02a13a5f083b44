"""Which version of MQTT to speak: 5, or 3.1.1 where the broker speaks no other.

A broker of 3.1.1 should answer a CONNECT of version 5 with "unsupported protocol version" (MQTT 3.1.1, 3.1.2.2). Some
only close, or misread it and wait for more. So does a broker that is just starting, and that must not cost version 5,
which alone tells a refused publish from a taken one. Silence is therefore followed only for a try: once the broker has
shown, in 3.1.1, that it is awake, it is asked once more in version 5, and what it does then is remembered.
"""

from __future__ import annotations

from paho.mqtt.enums import MQTTProtocolVersion as Version

CLOSES = 2
"""So many connections closed without a CONNACK count as silence."""

_NAMES = {Version.MQTTv5: "MQTT 5", Version.MQTTv311: "MQTT 3.1.1"}


class Negotiation:
    """Remembers, for the life of the process, what the broker has shown to speak."""

    def __init__(self) -> None:
        self.version = Version.MQTTv5
        """What the next CONNECT speaks."""
        self.confirming = False
        """Whether a broker known to be awake is asked once more in version 5."""
        self._settled = False
        self._guessed = False
        """Version 5 was left because of silence alone."""
        self._closes = 0

    def __str__(self) -> str:
        return _NAMES[self.version]

    @property
    def stepped_down(self) -> bool:
        """Whether version 5 was given up."""
        return self.version is Version.MQTTv311

    def answered(self) -> bool:
        """Note a CONNACK in this version, whatever it says; return False where version 5 is to be asked once more."""
        self._closes = 0
        self.confirming = self._guessed
        if self._guessed:
            self._switch_to(Version.MQTTv5)
            return False
        self._settled = True
        return True

    def unsupported(self) -> bool:
        """Note a CONNACK `unsupported protocol version`; return whether the other version is worth a try at once."""
        stepping_down = not self.stepped_down
        self._switch_to(Version.MQTTv311 if stepping_down else Version.MQTTv5)
        return stepping_down

    def closed(self) -> bool:
        """Note that the broker closed without a CONNACK; return as `silent` does."""
        self._closes += 1
        return self.silent() if self._closes >= CLOSES or self.confirming else False

    def silent(self) -> bool:
        """Note that no CONNACK came in time; return whether the other version is worth a try at once."""
        if self.confirming:
            self._switch_to(Version.MQTTv311)
            return True
        if not self._settled:
            stepping_down = not self.stepped_down
            self._switch_to(Version.MQTTv311 if stepping_down else Version.MQTTv5)
            self._guessed = stepping_down
        return False

    def _switch_to(self, version: Version) -> None:
        self.confirming = self.confirming and version is Version.MQTTv5
        self.version = version
        self._settled = False
        self._guessed = False
        self._closes = 0
