"""What leaves the terminal or enters it: the messages of MQTT, of the local socket and of the store.

Every message is a frozen msgspec struct; JSON is its wire form. No message can hold a coordinate of a signature.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from penlatch import names
from penlatch.foreign import plain

UserName = Annotated[str, msgspec.Meta(pattern=names.PATTERN)]
"""Name of an enrolled person: 1 to 64 letters, digits and `. _ @ -`, not beginning with one of `. @ -`."""

GivenName = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": names.PATTERN})]
"""Name as somebody gives it, in any Unicode normalization form: its NFC is a `UserName`."""

TerminalName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
"""Name of a terminal: one level of an MQTT topic and a file name at once."""

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

Purpose = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
"""Use of a signature: `door`, `login`, `check`, or a word of the integrator."""

DOOR = "door"
"""Purpose of a signature that opens the terminal's bolt or a door."""
LOGIN = "login"
"""Purpose of a signature that logs somebody in."""
CHECK = "check"
"""Purpose of a request that names none. Nothing opens for it."""

Instance = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
"""Random name of one life of the database, 128 bits in hexadecimal."""

LEAST_REFERENCES = 3
"""References that a first enrolment takes at least."""
MOST_PICTURES = 5
"""Scanned references of one person."""
MOST_REFERENCES = 12
"""References that a person may have in all."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every message. Readers pass over fields that they do not know: a later release may add some."""


class Verdict(StrEnum):
    """What became of one capture or one action."""

    MATCH = "match"
    """The signature is genuine. Terminal."""
    NO_MATCH = "no_match"
    """The signature was judged and found not genuine. Terminal."""
    RETRY = "retry"
    """The capture was unusable; the person may sign again. Never a rejection, never terminal."""
    ERROR = "error"
    """The action ended without a judgement: time-out, cancelled, a fault. Terminal, and never a match."""


class Grade(StrEnum):
    """Kind of the references that a signature was compared with."""

    PEN = "pen"
    """References that were written with a pen."""
    PICTURE = "picture"
    """Scanned references, which show no movement: a weaker proof."""


class Reason(StrEnum):
    """Why a verdict is what it is, stable for programs."""

    # match and no_match: what disagreed most
    SHAPE = "shape"
    SPEED = "speed"
    PRESSURE = "pressure"
    RHYTHM = "rhythm"
    SIZE = "size"
    TILT = "tilt"
    """Where the pen leans; of pens that tell it."""
    # no_match, and retry while enrolling: it was not written now
    REPLAY = "replay"
    """The signature repeats an earlier one more exactly than a hand can."""
    # match: nothing worth naming
    AGREES = "agrees"
    # retry: what was wrong with the capture
    TOO_SHORT = "too_short"
    """It lasted less than `segment.min_duration_s`."""
    TOO_LONG = "too_long"
    TOO_FEW_POINTS = "too_few_points"
    TOO_MANY_POINTS = "too_many_points"
    TOO_LITTLE_INK = "too_little_ink"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    EVENTS_LOST = "events_lost"
    """The device dropped events inside the signature."""
    PEN_LOST = "pen_lost"
    """The pen was unplugged inside the signature."""
    # retry, while enrolling
    DISAGREES = "disagrees"
    """The reference is unlike the ones before it."""
    UNLIKE_PICTURES = "unlike_pictures"
    """The reference is unlike the pictures by which the person is known."""
    TOO_SIMPLE = "too_simple"
    """The signature is so simple that anybody could write it (`enroll.min_complexity`)."""
    OUTLIER = "outlier"
    """One of the references is unlike all others; it was taken out, and one signature more is wanted."""
    # error
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    TOO_MANY_RETRIES = "too_many_retries"
    NO_PEN = "no_pen"
    NOT_ENROLLED = "not_enrolled"
    LOCKED = "locked"
    """Too many signatures did not match (`[lockout]`); none is judged until the lock ends."""
    DUPLICATE_PERSON = "duplicate_person"
    """The signature already belongs to a person enrolled under another name."""
    MODEL = "model"
    STORE = "store"
    INTERNAL = "internal"


class Disagreement(Message, frozen=True, kw_only=True):
    """How far one aspect of a signature is from the references."""

    reason: Reason
    """`shape`, `speed`, `pressure`, `rhythm`, `size` or `tilt`."""
    excess: Annotated[float, msgspec.Meta(ge=0.0)]
    """0 for none; one genuine signature in twenty goes beyond 1, every other beyond 0.37."""


class Action(StrEnum):
    """What the terminal is doing with the pen. One at a time."""

    IDLE = "idle"
    VERIFY = "verify"
    IDENTIFY = "identify"
    ENROLL = "enroll"


RequestErrorCode = Literal[
    "busy",
    "unknown_user",
    "already_enrolled",
    "not_allowed",
    "bad_request",
    "nothing_to_cancel",
    "unavailable",
    "too_old",
    "duplicate",
]


class DecisionDraft(Message, frozen=True, kw_only=True):
    """A decision before the store has given it its number."""

    terminal: TerminalName
    time: str
    """When it was decided, RFC 3339 in UTC with milliseconds."""
    action: Action
    """`verify` or `identify`; `enroll` for a signature that opens a further sitting, or does not belong to the name."""
    user: str | None
    """Who was asked for, or who was identified; None where nobody was."""
    purpose: Purpose = CHECK
    """Use that the signature was asked for."""
    grade: Grade | None = None
    """Kind of the references; None for a signature that was not judged."""
    verdict: Verdict
    done: bool
    """False for a retry, and in an enrolment: the action goes on."""
    reason: Reason
    reasons: tuple[Disagreement, ...] = ()
    """Every aspect that was compared, the one that disagreed most first; empty where nothing was judged."""
    probability: Probability | None = None
    """P(genuine), None where nothing was judged."""
    threshold: Probability | None = None
    """The probability from which on it is a match."""
    attempt: int = 1
    """Which capture of this action it was, from 1."""
    pen: str | None = None
    """Name of the pen tablet."""
    latency_ms: float | None = None
    """From the end of the pen-up wait to the decision [ms]."""
    transaction: str | None = None
    """What the asker gave to recognise the answer."""

    def numbered(self, *, seq: int, boot: int, instance: str) -> Decision:
        """Return the decision this draft becomes under the number `seq`."""
        return Decision(seq=seq, boot=boot, instance=instance, **msgspec.structs.asdict(self))


class Decision(DecisionDraft, frozen=True, kw_only=True, tag_field="kind", tag="decision"):
    """One judged signature, or one retry or error on the way: a fact, committed before it is told.

    `(terminal, instance, seq)` is unique for ever; consumers deduplicate on it. `seq` has no gaps within an instance.
    """

    instance: Instance
    """Life of the database that numbered it."""
    seq: int
    """Number of the decision, from 1."""
    boot: int
    """Counts starts of the daemon from 1."""
    historical: bool = False
    """True when published later than `mqtt.historical_after_s`: nothing may open on it."""
    jws: str | msgspec.UnsetType = msgspec.UNSET
    """All of the above, signed by the terminal (`mqtt.sign`): a compact JWS with Ed25519. Absent if it signs none."""


class SignedDecision(Message, frozen=True, kw_only=True):
    """Payload of `decision` under `mqtt.sign = "only"`: nothing stands beside the signature."""

    jws: str
    """A `Decision`, signed by the terminal: a compact JWS with Ed25519."""


class Quality(Message, frozen=True, kw_only=True):
    """What the references of a person are worth."""

    complexity: Probability
    """How much a forger would have to get right: 0 for a line, 0.5 and more for most signatures."""
    consistency: Probability | None
    """How alike the references are: 0.5 as people's usually are, 1 always the same; None for a single one."""
    outlier: int | None
    """The reference, from 1 in the order of giving, that is unlike all others; None where none is."""


class Sitting(Message, frozen=True, kw_only=True):
    """References that came at one time."""

    time: str
    """RFC 3339 in UTC."""
    origin: Literal["enrolled", "adapted"]
    """`enrolled`: given in an enrolment; `adapted`: taken over from an accepted signature (`[adapt]`)."""
    references: int


class Armed(Message, frozen=True, kw_only=True, tag_field="kind", tag="armed"):
    """The terminal waits for a signature: whoever shows something to the person shows it now."""

    action: Action
    user: str | None
    purpose: Purpose = CHECK
    """Use of the signature; whoever shows something to the person shows this, too."""
    attempt: int
    """Which capture is awaited, from 1."""
    timeout_s: float
    """How long the whole action may still take [s]."""
    transaction: str | None = None


class Enrollment(Message, frozen=True, kw_only=True, tag_field="kind", tag="enrollment"):
    """One step of an enrolment, or its end."""

    user: UserName
    outcome: Literal["accepted", "retry", "enrolled", "error"]
    """`accepted`: one reference more; `retry`: this one cannot be used; `enrolled`: complete; `error`: ended early."""
    done: bool
    """True for `enrolled` and `error`."""
    reason: Reason | None
    """Why, for `retry` and `error`."""
    stage: int
    """References accepted so far."""
    stages: int
    """References wanted."""
    extend: bool = False
    """Whether they are added to those of earlier sittings."""
    replaces: int | None = None
    """For a retry because of an `outlier`: the reference, from 1, whose place the next one takes."""
    quality: Quality | None = None
    """For `enrolled`: what the references are worth."""
    advice: str | None = None
    """For `enrolled`: what would make the template stronger, for people."""
    transaction: str | None = None


Event = Armed | Decision | Enrollment
"""What an action tells while it goes on; the last one has `done` true."""


class User(Message, frozen=True, kw_only=True):
    """An enrolled person, as lists show them."""

    name: UserName
    references: int
    enrolled: str
    """RFC 3339 in UTC."""
    template_version: str
    """Which models made the template."""
    sittings: tuple[Sitting, ...] = ()
    """When the references came, oldest first."""
    quality: Quality | None = None
    """What they are worth; None until the models of this release made the template."""
    pictures: int = 0
    """Scanned references; only of a person without any of a pen, who then has no template either."""


class State(Message, frozen=True, kw_only=True):
    """Retained on `state`: the birth message, the will, and the clean farewell."""

    state: Literal["online", "offline", "lost"]
    """`offline` is a clean stop, `lost` is the will speaking for a daemon that can no longer."""
    boot: int
    conn: int
    """Counts connections to the broker since the start, so that a will is matched to its birth."""
    instance: Instance | msgspec.UnsetType = msgspec.UNSET
    """Life of the database; absent while it cannot be used."""
    instance_jws: str | msgspec.UnsetType = msgspec.UNSET
    """Terminal, instance and boot, signed by the terminal (`mqtt.sign`): a compact JWS. Absent if it signs nothing."""


class Info(Message, frozen=True, kw_only=True):
    """Retained on `info`: what this terminal is."""

    terminal: TerminalName
    version: str
    mode: Literal["on-demand", "always"]
    purpose: Purpose | None = None
    """Purpose of a signature that nobody asked for (`always`); None where nobody is identified unasked."""
    threshold: Probability
    """The probability from which on it is a match, now."""
    threshold_from: Literal["configured", "calibrated", "fallback"] = "configured"
    """`configured`: by `verify.threshold` or its default; `calibrated`: fitted to `verify.target_fmr` by `penlatch
    calibrate`; `fallback`: the default, because no calibration supports the target."""
    target_fmr: Probability | None = None
    """The rate of false matches asked for, None where none is."""
    models: str
    """Digest of the model manifest."""
    runtime: str
    """Name and version of the inference runtime."""
    requests: tuple[str, ...]
    """Verbs accepted over MQTT."""
    key: dict[str, str] | None = None
    """The public key with which decisions are signed, as a JWK (RFC 8037); None where they are not."""
    boot: int
    instance: Instance | msgspec.UnsetType = msgspec.UNSET
    """Life of the database; absent while it cannot be used."""
    instance_jws: str | msgspec.UnsetType = msgspec.UNSET
    """Terminal, instance and boot, signed by the terminal (`mqtt.sign`): a compact JWS. Absent if it signs nothing."""
    decisions_from: int | None = None
    """Number of the oldest decision that the terminal still has (`store.keep_days`), that of the next one while it has
    none; None while the database cannot be used."""


class Way(StrEnum):
    """Way in which a signature is asked for. Failures are counted for each way by itself."""

    LOCAL = "local"
    """By name, over the local socket."""
    MQTT = "mqtt"
    """By name, over MQTT."""
    IDENTIFY = "identify"
    """By no name: an identification, or a signature in `mode = "always"`."""


class Stamp(Message, frozen=True, kw_only=True):
    """An instant by two clocks."""

    time: str
    """Time of day, RFC 3339 in UTC."""
    boot_id: str = ""
    """Name of the kernel's start that `uptime_s` counts from; empty for an unknown one."""
    uptime_s: float = 0.0
    """CLOCK_BOOTTIME [s]."""


class Row(Message, frozen=True, kw_only=True):
    """Failures in a row."""

    count: int
    last: Stamp
    """Instant of the last one."""


class NearFailure(Message, frozen=True, kw_only=True):
    """A signature that came near a person and did not match."""

    way: Way
    at: Stamp


class Failures(Message, frozen=True, kw_only=True):
    """Signatures that did not match, of one person or of the terminal."""

    ways: dict[Way, Row] = {}
    """Failures in a row, by the way in which they were asked for; a match ends every row of the person."""
    near: Row | None = None
    """Failures in a row that came near the person, over all ways; None for none."""
    day: tuple[NearFailure, ...] = ()
    """Failures of the last 24 h that came near the person, oldest first. No match takes one away."""


class Locked(Message, frozen=True, kw_only=True):
    """A person or the terminal, locked for a while."""

    user: str | None
    """None for the terminal, which then identifies nobody and still verifies people by name."""
    way: Literal["local", "mqtt", "identify", "all"] = "all"
    """Way that is locked; `all` after the day's cap of failures (`lockout.per_day`)."""
    failures: int
    """Failures in a row; for `all`, failures of the last 24 h."""
    left_s: float
    """Time until the end of the lock [s]."""
    until: str = ""
    """Time of day of that end, RFC 3339 in UTC."""
    by_name: bool = True
    """Every counted failure was of a signature that was asked for by name. A lock of a person for which this is false
    never leaves the terminal: it would say whom a stranger came near."""


class AuditHead(Message, frozen=True, kw_only=True):
    """The end of the terminal's audit. A lower `number` in a later message: an older database was put back."""

    number: int
    """Of the last entry."""
    mac: str
    """Its HMAC-SHA256, in hexadecimal."""


class Part(Message, frozen=True, kw_only=True):
    """Health of one part of the terminal."""

    ok: bool
    detail: str = ""
    last_error: str | msgspec.UnsetType = msgspec.UNSET
    """What was wrong the last time since the daemon was started, although it may be well by now; absent for nothing."""
    last_error_time: str | msgspec.UnsetType = msgspec.UNSET
    """When that was noticed, RFC 3339 in UTC."""

    def __post_init__(self) -> None:
        """Make the texts plain: they may repeat foreign words."""
        msgspec.structs.force_setattr(self, "detail", plain(self.detail))
        if isinstance(self.last_error, str):
            msgspec.structs.force_setattr(self, "last_error", plain(self.last_error))


class Health(Message, frozen=True, kw_only=True, tag_field="kind", tag="health"):
    """Retained on `health`: whether this terminal can do its work, and if not, why."""

    ok: bool
    time: str
    action: Action
    pen: Part
    models: Part
    store: Part
    outbox: Part
    broker: Part
    clock: Part
    """Whether the time of day can be right, and whether somebody keeps it so."""
    disk: Part
    """Room where the database is."""
    bolt: Part | None = None
    """The terminal's own bolt (`[bolt]`), where it has one."""
    backup: Part | None = None
    """How the last backup went (`[backup]`), where any are made."""
    certificate: Part | None = None
    """The terminal's own certificate (`mqtt.tls.cert_file`), where it has one."""
    users: int
    decisions: int
    """Number of the last decision."""
    outbox_depth: int
    """Decisions that wait for the broker."""
    outbox_age_s: float | None = None
    """How long the first of them has waited [s], by the time of day; None where none waits."""
    outbox_dropped: int = 0
    """Decisions that the outbox never had room for (`store.outbox_decisions`, `store.outbox_days`)."""
    outbox_unheard: int = 0
    """Decisions that a broker acknowledged while nobody was subscribed to them (PUBACK 0x10, MQTT 5)."""
    instance: Instance | msgspec.UnsetType = msgspec.UNSET
    """Life of the database; absent while it cannot be used."""
    instance_jws: str | msgspec.UnsetType = msgspec.UNSET
    """Terminal, instance and boot, signed by the terminal (`mqtt.sign`): a compact JWS. Absent if it signs nothing."""
    unstored: int = 0
    """Errors and retries of the last day that were counted and not stored (`store.unjudged_per_day`)."""
    lockouts: tuple[Locked, ...] = ()
    audit: AuditHead | None = None
    """None where the database cannot be used."""
    uptime_s: float


class Rate(Message, frozen=True, kw_only=True):
    """How often something went wrong, and how sure that is."""

    errors: int
    trials: int
    rate: Probability
    """`errors` / `trials`."""
    low: Probability
    high: Probability
    """The 95 % interval of Clopper and Pearson, as if the trials were independent of each other."""


class CurvePoint(Message, frozen=True, kw_only=True):
    """The error rates at one threshold."""

    threshold: Probability
    fmr: Probability
    """Share of attempts with another person's signature that match (ISO/IEC 19795-1: false match rate)."""
    fnmr: Probability
    """Share of the person's own attempts that do not (false non-match rate)."""


class OperatingPoint(Message, frozen=True, kw_only=True):
    """A threshold, and how often the people of this terminal would err at it. No forger was among them."""

    threshold: Probability
    fmr: Rate
    pairs: Rate
    """Of ordered pairs of people: those in which an attempt of one matches the other. What is said for sure rests on
    these, since attempts of one pair resemble each other."""
    fnmr: Rate


class SiteCalibration(Message, frozen=True, kw_only=True):
    """What `penlatch calibrate` found on the enrolled people."""

    time: str
    """RFC 3339 in UTC."""
    models: str
    """Digest of the model manifest: for other models it means nothing."""
    people: int
    references: int
    target_fmr: Probability
    smallest_fmr: Probability
    """The smallest rate that so few people can show with 95 % confidence, were there no error at all."""
    proposed: OperatingPoint | None
    """The lowest threshold, not below 0.5, at which the target is met with 95 % confidence; None where so few people
    cannot show it."""
    current: OperatingPoint
    """The threshold in use when it was measured."""
    curve: tuple[CurvePoint, ...]
    applied: bool
    """Whether `proposed` was stored for `verify.target_fmr`."""
    notes: tuple[str, ...]
    """What these figures do not say, for people."""


class Calibration(Message, frozen=True, kw_only=True, tag_field="kind", tag="calibration"):
    """A step of a calibration, or its end."""

    done: bool
    progress: Probability
    """Share of the work that is done."""
    result: SiteCalibration | None = None
    """At the end."""


Told = Event | Calibration
"""What the local socket tells."""

Verb = Literal["verify", "identify", "enroll", "cancel", "delete_user", "list_users", "unlock", "history", "status"]


class Request(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payload of `request/<verb>`.

    The one message in which an unknown field is refused: it may be a condition, and to pass over a condition would do
    more than was asked for.
    """

    user: GivenName | None = None
    references: Annotated[int, msgspec.Meta(ge=1, le=12)] | None = None
    """For `enroll`: how many references to take, at least 3 of a new person; None for the configured number."""
    extend: bool = False
    """For `enroll`: add references to those of a person who is enrolled, on another day."""
    purpose: Purpose = CHECK
    """For `verify` and `identify`: use of the signature. A bolt and a door open for `door` only."""
    terminal: bool = False
    """For `unlock`: end the lock of the terminal and not that of a person."""
    transaction: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    instance: Instance | None = None
    """For `history`: life of the database that numbered the decisions."""
    first: Annotated[int, msgspec.Meta(ge=1)] | None = msgspec.field(default=None, name="from")
    """For `history`: number of the first decision."""
    last: Annotated[int, msgspec.Meta(ge=1)] | None = msgspec.field(default=None, name="to")
    """For `history`: number of the last decision, `from` or above."""
    time: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    """When it was sent, RFC 3339 with a zone: it is refused when that is long ago (`mqtt.request_max_age_s`)."""

    def __post_init__(self) -> None:
        """Hold the name to the rule for names, and a first enrolment to the least number of references.

        Raises:
            ValueError: if the name is none, or the enrolment asks for fewer references.
        """
        if self.user is not None and (problem := names.problem_of(self.user)):
            raise ValueError(f"{problem} - at `$.user`")
        if self.references is not None and self.references < LEAST_REFERENCES and not self.extend:
            raise ValueError(f"a new person gives at least {LEAST_REFERENCES} `references`")


class Response(Message, frozen=True, kw_only=True):
    """Payload of `response/<verb>`."""

    status: Literal["ok", "progress", "error"]
    transaction: str | None = None
    data: Event | Health | None = None
    """An event of the action; for `status`, the health."""
    users: tuple[User, ...] | None = None
    """For `list_users`."""
    decisions: tuple[Decision, ...] | None = None
    """For `history`: decisions in order, every one `historical`."""
    jws: tuple[str, ...] | None = None
    """For `history` under `mqtt.sign = "only"`: the same decisions, each signed and nothing beside."""
    next: int | None = None
    """For `history`: number to ask for next, behind a range that was cut; None for a complete one."""
    error: str | None = None
    """For people; `code` is for programs."""
    code: RequestErrorCode | None = None
