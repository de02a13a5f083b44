"""The configuration: one TOML file, every key typed; unknown keys and wrong values are refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from penlatch.errors import ConfigError
from penlatch.messages import Probability, TerminalName

DEFAULT_PATH = Path("/etc/penlatch/penlatch.toml")

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
References = Annotated[int, msgspec.Meta(ge=3, le=12)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section."""


class Terminal(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[terminal]: who this terminal is and when it looks at the pen."""

    name: TerminalName = "terminal"
    mode: Literal["on-demand", "always"] = "on-demand"


class Pen(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pen]: which pen to read."""

    device: str = "evdev:"
    """`evdev:` (the only one), `evdev:/dev/input/eventN`, `evdev:VID:PID`, `evdev:name=…`, `evdev:uniq=…`,
    `isdv4:/dev/ttyS4`, `protocol4:/dev/ttyUSB0`, or `replay:FILE`."""
    grab: bool = False
    """Take an evdev pen for penlatch alone, so that no desktop follows it."""


class Segment(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[segment]: when a signature ends, and what is no signature at all."""

    idle_s: Seconds = 1.2
    min_duration_s: Seconds = 0.25
    max_duration_s: Seconds = 20.0
    min_points: Count = 25
    max_points: Count = 20_000
    min_ink_mm: Seconds = 15.0
    min_size_mm: Seconds = 5.0
    max_size_mm: Seconds = 300.0


class Verify(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[verify]: how sure is sure enough, and how long to try."""

    threshold: Probability = 0.5
    timeout_s: Seconds = 30.0
    tries: Count = 3
    models: Path | None = None
    """Folder of the models; None for those that came with the package."""


class Enroll(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[enroll]: how a person becomes known."""

    references: References = 5
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 600.0


class Store(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[store]: where enrolments and decisions are kept."""

    path: Path = Path("/var/lib/penlatch/penlatch.db")
    key_file: Path | None = None
    """32 bytes that seal references and templates; None for the systemd credential `penlatch.key`, else
    `store.key` beside the database, made at the first start."""


class Control(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[control]: the local socket."""

    socket: Path = Path("/run/penlatch/penlatch.sock")
    allow_users: tuple[str, ...] = ("root",)
    """Names of system users who may use every verb. The user who runs the daemon always may."""
    allow_groups: tuple[str, ...] = ("penlatch",)
    """Their groups, likewise."""


class Tls(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[mqtt.tls]: encryption to the broker."""

    ca_file: Path | None = None
    """None for the system's certificate authorities."""
    cert_file: Path | None = None
    key_file: Path | None = None


class Mqtt(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[mqtt]: the broker. Without this section nothing is published, and decisions wait in the outbox."""

    host: str
    port: Port = 1883
    username: str | None = None
    password_file: Path | None = None
    """None for the systemd credential `mqtt.password`, where there is one."""
    tls: Tls | None = None
    keepalive_s: Count = 30
    requests: tuple[Literal["verify", "identify", "enroll", "cancel", "delete_user", "list_users", "status"], ...] = (
        "verify",
        "identify",
        "cancel",
        "status",
    )
    """Verbs accepted from the broker. Enrolment and deletion are off unless named here."""
    historical_after_s: Seconds = 10.0
    """A decision that reaches the broker later than this says `historical`: nothing may open on it."""


class Log(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[log]: what the journal gets."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    terminal: Terminal = msgspec.field(default_factory=Terminal)
    pen: Pen = msgspec.field(default_factory=Pen)
    segment: Segment = msgspec.field(default_factory=Segment)
    verify: Verify = msgspec.field(default_factory=Verify)
    enroll: Enroll = msgspec.field(default_factory=Enroll)
    store: Store = msgspec.field(default_factory=Store)
    control: Control = msgspec.field(default_factory=Control)
    mqtt: Mqtt | None = None
    log: Log = msgspec.field(default_factory=Log)


def load(path: Path) -> Config:
    """Read and check the file at `path`.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path=path, key=None, problem=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path=path, key=None, problem=str(error)) from error
    return parse(raw, path=path)


def parse(raw: dict[str, Any], *, path: Path | str = "<config>") -> Config:
    """Check what a TOML file held.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    try:
        return msgspec.convert(raw, Config, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise ConfigError(path=path, key=where.rstrip("`").lstrip(".") or None, problem=problem) from error


def _path(kind: type, value: Any) -> Any:
    """Make a path of a string: the one type here that TOML and msgspec do not know of themselves."""
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected the path of a file")
