"""paho's client, made to connect once and to keep the reasons it would throw away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion

from penlatch.foreign import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_TIMEOUT_S = 5.0
"""For TCP, and again for the TLS handshake [s]."""


class OneShotClient(paho.Client):
    """paho's client, made to connect once, and to keep the reasons that paho throws away.

    With `loop_start`, paho swallows the error of a failed connect and every exception ends its thread in silence.
    Both methods overridden here are public and are called by that thread.
    """

    def __init__(self, *, client_id: str, version: MQTTProtocolVersion, prepare: Callable[[paho.Client], None]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if version is MQTTProtocolVersion.MQTTv5 else True,
            protocol=version,
            reconnect_on_failure=False,
        )
        self.reconnect_delay_set(min_delay=0, max_delay=0)
        self.max_inflight_messages = 0  # no second window behind ours
        self.connect_timeout = CONNECT_TIMEOUT_S
        self.suppress_exceptions = True
        self.problem = ""
        """The first thing that went wrong."""
        self.finished: Callable[[], None] = lambda: None
        """Called in paho's thread as the last thing it does."""
        self._prepare = prepare
        self.on_log = self._net_log

    def reconnect(self) -> MQTTErrorCode:
        """Make the socket and queue CONNECT; what fails is kept in `problem`."""
        try:
            self._prepare(self)
            return super().reconnect()
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be encoded, a file that is no text
            self.problem = _describe(error)
            self.disconnect()  # without a socket this only forbids paho's own next try
            return MQTTErrorCode.MQTT_ERR_NO_CONN

    def loop_forever(  # the body of paho's thread
        self,
        timeout: float = 1.0,
        retry_first_connection: bool = False,  # noqa: FBT001, FBT002 - paho's signature
    ) -> MQTTErrorCode:
        """Run until the connection ends, whatever the broker sends, and say `finished`."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as error:  # noqa: BLE001 - paho asserts on a broken broker's bytes; that ends a connection, no more
            self.problem = self.problem or _describe(error)
            return MQTTErrorCode.MQTT_ERR_UNKNOWN
        finally:
            finished = self.finished
            self._let_go()
            finished()

    def _let_go(self) -> None:
        """Break the circles through the callbacks: sockets close with the last use, not at some collection."""
        self.on_log = self.on_connect = self.on_disconnect = self.on_publish = self.on_subscribe = None
        self.on_message = self.on_socket_open = None
        self.finished = lambda: None
        self._prepare = lambda _client: None

    def _net_log(self, _client: paho.Client, _userdata: object, level: int, message: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR and not self.problem:
            self.problem = plain(message, WORDS)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return plain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return plain(error, WORDS) or type(error).__name__
