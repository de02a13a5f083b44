"""The configuration: one TOML file, every key typed; unknown keys and wrong values are refused by name."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from penlatch.errors import ConfigError
from penlatch.messages import DOOR, LEAST_REFERENCES, MOST_REFERENCES, Probability, Purpose, TerminalName

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PATH = Path("/etc/penlatch/penlatch.toml")

SHORTEST_IDLE_S = 0.1
"""Shortest pen-up wait that may be configured [s]: longer than motion may wait to be read and handed over together, so
that a pen which goes on writing never seems to be up."""
LONGEST_IDLE_S = 10.0
"""Longest pen-up wait that may be configured [s]; no pen rests before it is over."""

LEAST_THRESHOLD = 0.05
"""Lowest threshold that may be configured. The floor of the skilled-forgery score is 1 in 21
(`verify.calibrate.LEAST_SKILL`): a lower threshold would let any hand in that resembles the person's."""
DEFAULT_THRESHOLD = 0.5
"""The threshold where none is given, and where no calibration meets a target: both errors are equally frequent."""

SOCKET_PATH_BYTES = 108
"""Size of `sun_path`, its closing NUL included (unix(7)) [bytes]."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
"""A duration [s]; no more than a day, which also keeps infinity out."""
Millimetres = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]
"""A probability from which on it is a match; 0 would open for everybody."""
Rate = Annotated[float, msgspec.Meta(gt=0, le=0.1)]
"""A rate of false matches; one in ten is no protection any more."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Curve = tuple[Share, Share, Share, Share]
"""The control points x1, y1, x2, y2 of a cubic Bezier curve from (0, 0) to (1, 1)."""
STRAIGHT: Curve = (0.0, 0.0, 1.0, 1.0)
"""The curve that changes nothing."""
Count = Annotated[int, msgspec.Meta(ge=1)]
References = Annotated[int, msgspec.Meta(ge=LEAST_REFERENCES, le=MOST_REFERENCES)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section."""


class Terminal(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[terminal]: who this terminal is and when it looks at the pen."""

    name: TerminalName = "terminal"
    mode: Literal["on-demand", "always"] = "on-demand"
    purpose: Purpose = DOOR
    """Purpose of a signature that nobody asked for (`mode = "always"`)."""
    exclusive: bool = False
    """In mode `always`, refuse requests of any other purpose: nothing at the pad shows for what a person signs."""


class Pen(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pen]: which pen to read."""

    device: str = "evdev:"
    """`evdev:` (the only one), `evdev:/dev/input/eventN`, `evdev:VID:PID`, `evdev:name=…`, `evdev:uniq=…`,
    `isdv4:/dev/ttyS4`, `protocol4:/dev/ttyUSB0`, or `replay:FILE`."""
    grab: bool = False
    """Take an evdev pen for penlatch alone, so that no desktop follows it."""
    pressure_curve: Curve = STRAIGHT
    """What becomes of its pressure."""


class Segment(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[segment]: when a signature ends, and what is no signature at all."""

    idle_s: Annotated[float, msgspec.Meta(ge=SHORTEST_IDLE_S, le=LONGEST_IDLE_S)] = 1.2
    min_duration_s: Seconds = 0.25
    max_duration_s: Seconds = 20.0
    min_points: Count = 25
    max_points: Count = 20_000
    min_ink_mm: Millimetres = 15.0
    min_size_mm: Millimetres = 5.0
    max_size_mm: Millimetres = 300.0


class Verify(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[verify]: how sure is sure enough, and how long to try."""

    threshold: Threshold = DEFAULT_THRESHOLD
    target_fmr: Rate | None = None
    """The greatest rate of false matches; `penlatch calibrate` finds the threshold for it. Not with `threshold`."""
    timeout_s: Seconds = 30.0
    tries: Count = 3
    models: Path | None = None
    """Folder of the models; None for those that came with the package."""


class Enroll(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[enroll]: how a person becomes known."""

    references: References = 5
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 600.0
    min_complexity: Probability = 0.18
    """A simpler signature is refused as a reference: a circle has 0.16."""
    sittings_per_day: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """Further sittings that a person may begin within 24 hours."""


class Lockout(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[lockout]: limits for signatures that do not match."""

    enabled: bool = True
    failures: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    """Failures in a row that lock: of one person in one way of asking, or of strangers at the terminal."""
    first_s: Seconds = 30.0
    """First lock of a person [s]; each further failure doubles it. The terminal's is half as long."""
    longest_s: Seconds = 3600.0
    """Longest lock of a person for failures in a row [s]."""
    terminal_longest_s: Seconds = 300.0
    """Longest lock of the terminal [s]."""
    per_day: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 12
    """Failures of one person within 24 h, over all ways of asking, that lock the person until one is older."""
    rise: tuple[tuple[Count, Threshold], ...] = ((1, 0.95),)
    """Rows [failures, threshold]: after so many failures of a person in a row, the threshold is at least this."""
    rise_s: Seconds = 28_800.0
    """Time after the last failure for which the threshold stays raised [s]; a match ends it at once."""


class Adapt(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[adapt]: how a template follows its person."""

    enabled: bool = True
    every_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30
    """An accepted signature becomes a reference at most once in so many days."""
    max_adapted: Annotated[int, msgspec.Meta(ge=1, le=6)] = 2
    """So many adapted references beside the originals, which never go."""
    min_probability: Probability = 0.9
    """Only a signature of at least this probability; halfway between the threshold and 1 where that is more."""


class Replay(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[replay]: recordings of earlier signatures are refused."""

    enabled: bool = True
    """Without it nothing is compared, and what was remembered is forgotten."""
    remember: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 7300
    """Of each person the last so many signatures that matched, and as many that did not; all that are enrolled.
    The default is 20 a day for a year."""
    strangers: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 7300
    """The last so many signatures that an identification found to be nobody's."""
    megabytes: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1024
    """Size on the disk beyond which the oldest go, refused ones first [MB]."""
    memory_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64
    """Size in memory of the signatures of the people who came last [MB]."""


class Store(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[store]: where enrolments and decisions are kept."""

    path: Path = Path("/var/lib/penlatch/penlatch.db")
    key_file: Path | None = None
    """32 bytes that seal references and templates; None for the systemd credential `penlatch.key`, else
    `store.key` beside the database, made at the first start."""
    outbox_decisions: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 100_000
    """So many decisions wait for the broker at most; then the oldest are dropped, and health and audit say so."""
    outbox_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None
    """So many days they wait at most, as long as the clock is kept right; None for any time."""
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 400
    """Days for which decisions stay on the terminal, as long as the clock is kept right. None that waits goes."""
    unjudged_per_day: Annotated[int, msgspec.Meta(ge=10, le=1_000_000)] = 2000
    """Errors and retries of one way of asking (socket, broker, pad) that are stored a day; the others are counted."""


class Backup(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[backup]: copies of the database, made while the daemon runs."""

    enabled: bool = True
    folder: Path | None = None
    """None for `backups` beside the database."""
    every_hours: Annotated[int, msgspec.Meta(ge=1, le=8760)] = 24
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 7
    """So many are kept; older ones are thrown away."""


class Control(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[control]: the local socket."""

    socket: Path = Path("/run/penlatch/penlatch.sock")
    allow_users: tuple[str, ...] = ("root",)
    """Names of system users who may use every verb. The user who runs the daemon always may."""
    allow_groups: tuple[str, ...] = ("penlatch",)
    """Their groups, likewise."""


class Bolt(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[bolt]: what this terminal opens by itself. Without this section nothing. Either a program or a GPIO line."""

    command: tuple[str, ...] | None = None
    """A program by its absolute path, and its arguments: opens, and shuts before it ends."""
    gpio_chip: Path = Path("/dev/gpiochip0")
    gpio_line: Annotated[int, msgspec.Meta(ge=0, le=4095)] | None = None
    """Number of the line on its chip."""
    active_low: bool = False
    """The bolt is open while the line is low."""
    pulse_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 3.0
    """How long it is open [s]."""
    purposes: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1)] = (DOOR,)
    """Purposes of a signature for which it opens."""
    grades: tuple[Literal["pen", "picture"], ...] = ("pen",)
    """Grades of the decisions that open it. A picture shows no movement: a forger who copies it passes."""


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
    requests: tuple[
        Literal["verify", "identify", "enroll", "cancel", "delete_user", "list_users", "unlock", "history", "status"],
        ...,
    ] = (
        "verify",
        "identify",
        "cancel",
        "status",
    )
    """Verbs accepted from the broker. Enrolment, deletion, unlocking and `history` are off unless named here."""
    request_max_age_s: Seconds = 30.0
    """A request that says when it was sent is refused when that is longer ago [s]."""
    home_assistant: Annotated[str, msgspec.Meta(pattern=r"^[^/#+\x00]+\Z")] | None = None
    """Prefix under which the terminal makes itself known to Home Assistant, `homeassistant` as a rule; None for not."""
    sign: bool | Literal["only"] = False
    """Sign every decision with the terminal's own key, whose public half is in `info`; `only`: publish the signed form
    and nothing beside it."""
    expects_consumer: bool = False
    """Keep decisions in the outbox while the broker says that nobody is subscribed to them (MQTT 5)."""
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
    lockout: Lockout = msgspec.field(default_factory=Lockout)
    adapt: Adapt = msgspec.field(default_factory=Adapt)
    replay: Replay = msgspec.field(default_factory=Replay)
    store: Store = msgspec.field(default_factory=Store)
    backup: Backup = msgspec.field(default_factory=Backup)
    control: Control = msgspec.field(default_factory=Control)
    bolt: Bolt | None = None
    mqtt: Mqtt | None = None
    log: Log = msgspec.field(default_factory=Log)


def load(path: Path) -> Config:
    """Read the file at `path`, and check that it makes sense on this machine.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path=path, key=None, problem=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number or a nesting beyond all reason
        raise ConfigError(path=path, key=None, problem=f"this is not TOML: {error}") from error
    config = parse(raw, path=path)
    if {"threshold", "target_fmr"} <= raw.get("verify", {}).keys():
        raise ConfigError(path=path, key="verify.target_fmr", problem="give this or verify.threshold, not both")
    for key, problem in _contradictions(config):
        raise ConfigError(path=path, key=key, problem=problem)
    return config


def parse(raw: dict[str, Any], *, path: Path | str = "<config>") -> Config:
    """Check the keys and the type of every value of what a TOML file held.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    try:
        return msgspec.convert(raw, Config, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        # From the right: what was refused may itself hold these characters.
        problem, _, where = text.rpartition(" - at `$") if " - at `$" in (text := str(error)) else (text, "", "")
        key = where.rstrip("`").lstrip(".")
        if match := re.search("(unknown|missing required) field `(.*)`", problem):
            key = f"{key}.{match[2]}".lstrip(".")
            problem = "there is no such key" if match[1] == "unknown" else "this key must be given"
        elif problem.startswith("Invalid enum value") and (choices := _choices(key)):
            problem += f", this is one of {', '.join(choices)}"
        for python, toml in _KINDS.items():
            problem = problem.replace(f"`{python}`", toml)
        raise ConfigError(path=path, key=key or None, problem=problem) from error


_KINDS = {
    "object": "a table",
    "array": "an array",
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
"""What the reader of a TOML file calls the types that msgspec names in Python's words."""


def _path(kind: type, value: Any) -> Any:
    """Make a path of a string: the one type here that TOML and msgspec do not know of themselves."""
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError("Expected the path of a file")


def _choices(key: str) -> tuple[str, ...]:
    """Return the words that the key at this dotted path may have, where it is one of a few."""
    kind: Any = Config
    for name in key.partition("[")[0].split("."):
        kind = next((inner for inner in (kind, *get_args(kind)) if hasattr(inner, "__struct_fields__")), kind)
        kind = get_type_hints(kind)[name]
    words = [inner for inner in (kind, *get_args(kind)) if get_origin(inner) is Literal]
    return get_args(words[0]) if words else ()


def _contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of every value that has the right type and makes no sense, or none here."""
    segment = config.segment
    for low, high in (
        ("min_duration_s", "max_duration_s"),
        ("min_points", "max_points"),
        ("min_size_mm", "max_size_mm"),
    ):
        if getattr(segment, low) >= getattr(segment, high):
            yield f"segment.{low}", f"this must be less than segment.{high}"
    yield from _contradictions_of_verify(config.verify)
    yield from _contradictions_of_lockout(config.lockout)
    if not re.match(r"evdev:|(isdv4|protocol4):/|replay:.", config.pen.device):
        yield "pen.device", "this begins with evdev:, or is isdv4:PATH, protocol4:PATH or replay:FILE"
    if len(bytes(config.control.socket)) >= SOCKET_PATH_BYTES:
        yield "control.socket", f"the path of a socket has fewer than {SOCKET_PATH_BYTES} bytes"
    if config.bolt is not None:
        if (config.bolt.command is None) is (config.bolt.gpio_line is None):
            yield "bolt", "give either bolt.command or bolt.gpio_line"
        elif config.bolt.command is not None and not Path(*config.bolt.command[:1]).is_absolute():
            yield "bolt.command", "this begins with the absolute path of a program"
    yield from _missing("verify.models", config.verify.models)
    yield from _missing("store.key_file", config.store.key_file)
    if config.mqtt is not None:
        yield from _contradictions_of_mqtt(config.mqtt)


def _contradictions_of_verify(verify: Verify) -> Iterator[tuple[str, str]]:
    """Yield the same for the threshold."""
    if verify.threshold < LEAST_THRESHOLD:
        least = f"this must be {LEAST_THRESHOLD:g} at least"
        yield "verify.threshold", f"{least}: below, the score model tells hardly anybody from the person"


def _contradictions_of_lockout(lockout: Lockout) -> Iterator[tuple[str, str]]:
    """Yield the same for the lockout."""
    if lockout.first_s > lockout.longest_s:
        yield "lockout.first_s", "this must not be more than lockout.longest_s"
    if any(fewer >= more or low > high for (fewer, low), (more, high) in pairwise(lockout.rise)):
        yield "lockout.rise", "each row has more failures than the one before, and no lower threshold"


def _contradictions_of_mqtt(mqtt: Mqtt) -> Iterator[tuple[str, str]]:
    """Yield the same for the broker."""
    if mqtt.sign == "only" and mqtt.home_assistant:
        yield "mqtt.sign", "Home Assistant reads no signed form: `only` does not go with mqtt.home_assistant"
    if not mqtt.host:
        yield "mqtt.host", "this must name a host"
    if mqtt.password_file and not mqtt.username:
        yield "mqtt.password_file", "a password needs mqtt.username"
    yield from _missing("mqtt.password_file", mqtt.password_file)
    if mqtt.tls is not None:
        if mqtt.tls.key_file and not mqtt.tls.cert_file:
            yield "mqtt.tls.key_file", "a key needs its certificate, mqtt.tls.cert_file"
        for name in ("ca_file", "cert_file", "key_file"):
            yield from _missing(f"mqtt.tls.{name}", getattr(mqtt.tls, name))


def _missing(key: str, path: Path | None) -> Iterator[tuple[str, str]]:
    """Yield the problem of a path that is named and does not lead to anything."""
    if path is not None:
        try:
            path.stat()
        except PermissionError:
            pass  # who may not look cannot say that it is missing
        except OSError as error:
            yield key, f"{path}: {error.strerror}"
