"""The topics of one terminal: `penlatch/<terminal>/…`."""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "penlatch"


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic that the terminal `terminal` publishes or listens on."""

    terminal: str

    @property
    def base(self) -> str:
        """What all of them begin with."""
        return f"{ROOT}/{self.terminal}"

    @property
    def state(self) -> str:
        """Birth, farewell and will. Retained."""
        return f"{self.base}/state"

    @property
    def info(self) -> str:
        """What the terminal is. Retained."""
        return f"{self.base}/info"

    @property
    def health(self) -> str:
        """Whether the terminal can do its work. Retained."""
        return f"{self.base}/health"

    @property
    def decision(self) -> str:
        """Decisions, one by one. Never retained: nothing may open on what a broker kept."""
        return f"{self.base}/decision"

    @property
    def requests(self) -> str:
        """The filter under which requests of every verb arrive."""
        return f"{self.base}/request/+"

    def response(self, verb: str) -> str:
        """Return where requests of `verb` are answered."""
        return f"{self.base}/response/{verb}"

    def verb(self, topic: str) -> str | None:
        """Return the verb that a message on `topic` asks for, None where `topic` is no request to this terminal."""
        prefix, _, verb = topic.rpartition("/")
        return verb if verb and prefix == f"{self.base}/request" else None

    def may_answer_on(self, topic: str) -> bool:
        """Tell whether a requester may name `topic` as the place for its answer (MQTT 5 response topic).

        Not a filter, not the broker's own (`$…`), and nowhere a consumer looks for something else of penlatch: a
        response must never pass for a decision.
        """
        if not topic or any(character in topic for character in "+#\0") or topic.startswith("$"):
            return False
        return not topic.startswith(f"{ROOT}/") or topic.startswith(f"{self.base}/response/")
