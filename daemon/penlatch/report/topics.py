"""The topics of one terminal: `penlatch/<terminal>/…`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from penlatch.messages import Verb

ROOT: Final = "penlatch"
LONGEST_TOPIC: Final = 256
"""Longest response topic that a requester may name [bytes]."""
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)
"""Verbs of requests."""


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

    def may_answer_on(self, topic: str, *, verb: str) -> bool:
        """Tell whether the requester of `verb` may name `topic` as the place for its answer (MQTT 5 response topic).

        It lies under the terminal's own `response/`, so that nobody makes the terminal publish anywhere else. It does
        not lie where another verb is answered: an answer must never pass for that of another request. It is no filter,
        can be printed, and has at most `LONGEST_TOPIC` bytes.
        """
        levels = topic.removeprefix(f"{self.base}/response/").split("/")
        return (
            topic.startswith(f"{self.base}/response/")
            and all(levels)
            and (levels[0] == verb or levels[0] not in VERBS)
            and not any(character in topic for character in "+#")
            and topic.isprintable()
            and len(topic.encode()) <= LONGEST_TOPIC
        )
