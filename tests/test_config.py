"""The configuration: the shipped example says all and only what is true, and everything else is refused by name."""

from __future__ import annotations

import re
import tomllib
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch import config
from penlatch.config import Config
from penlatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "systemd" / "penlatch.toml"
REFERENCE = ROOT / "docs" / "configure.md"


def keys(section: type[msgspec.Struct] = Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of the configuration with its default, sections within sections included."""
    hints = get_type_hints(section)
    for field in msgspec.structs.fields(section):
        kinds = get_args(hints[field.name]) if get_origin(hints[field.name]) in (types.UnionType, Union) else ()
        inner = [k for k in (hints[field.name], *kinds) if isinstance(k, type) and issubclass(k, msgspec.Struct)]
        if inner:
            yield from keys(inner[0], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field.default


def uncommented() -> dict[str, Any]:
    """The example with the # before every key and section removed."""
    return tomllib.loads(re.sub(r"(?m)^#(?=\[|\w+ = )", "", EXAMPLE.read_text(encoding="utf-8")))


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def outcome(call: Callable[[], object]) -> ConfigError | None:
    """The refusal a call ends in, None where it ends well. Any other exception passes."""
    try:
        call()
    except ConfigError as error:
        return error
    return None


def refusal(tmp_path: Path, text: str) -> ConfigError:
    """The error with which a file of this content is refused; its words name the file and the key."""
    path = write(tmp_path / "penlatch.toml", text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.key is None or caught.value.key in str(caught.value)
    return caught.value


class TestExample:
    """`systemd/penlatch.toml`, which `scripts/install` lays down."""

    def test_as_shipped_it_is_the_defaults(self) -> None:
        assert config.load(EXAMPLE) == Config()

    def test_every_key_is_in_it_and_no_other(self) -> None:
        assert flat(uncommented()).keys() == dict(keys()).keys()

    def test_every_value_in_it_is_the_default_unless_there_is_none(self) -> None:
        shown = flat(uncommented())
        for key, default in keys():
            if default is None or default is msgspec.NODEFAULT:
                continue  # a name or a path of the reader's own
            assert shown[key] == msgspec.json.decode(msgspec.json.encode(default, enc_hook=str)), key

    def test_every_value_in_it_is_valid(self) -> None:
        assert config.parse(uncommented()).mqtt is not None

    def test_every_key_has_words_above_it_or_above_its_neighbours(self) -> None:
        text = EXAMPLE.read_text(encoding="utf-8")
        for key, _ in keys():
            block = re.search(rf"(?ms)^(# .*?)^#{re.escape(key.rpartition('.')[2])} = ", text)
            assert block, key


def test_the_reference_names_every_key_with_its_default() -> None:
    rows = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    for key, default in keys():
        (row,) = [row for row in rows if f"`{key}`" in row.split("|")[1]]
        words = row.split("|")[2]
        defaults = default if isinstance(default, tuple) else (default,)
        for value in (list(each) if isinstance(each, tuple) else each for each in defaults):
            if value not in (None, msgspec.NODEFAULT):
                assert f"{value:g}" in words if isinstance(value, float) else str(value).lower() in words.lower(), key


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert config.load(write(tmp_path / "empty.toml", "")) == Config()


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[pen]\ncolour = 1", "pen.colour", "no such key"),
        ("colour = 1", "colour", "no such key"),
        ("[mqtt]\nhost = 'b'\n[mqtt.tls]\ncertificate = 'x'", "mqtt.tls.certificate", "no such key"),
        ("[mqtt]\nport = 1883", "mqtt.host", "must be given"),
        ("[mqtt]\nhost = ''", "mqtt.host", "name a host"),
        ("[mqtt]\nhost = 'b'\nport = 70000", "mqtt.port", "65535"),
        ("[mqtt]\nhost = 'b'\nrequests = ['open']", "mqtt.requests[0]", "one of verify, identify"),
        ("[mqtt]\nhost = 'b'\nhistorical_after_s = inf", "mqtt.historical_after_s", "86400"),
        ("[mqtt]\nhost = 'b'\npassword_file = '/dev/null'", "mqtt.password_file", "mqtt.username"),
        ("[mqtt]\nhost = 'b'\n[mqtt.tls]\nkey_file = '/dev/null'", "mqtt.tls.key_file", "mqtt.tls.cert_file"),
        ("[mqtt]\nhost = 'b'\n[mqtt.tls]\nca_file = '/nowhere'", "mqtt.tls.ca_file", "/nowhere: No such file"),
        ("[segment]\nidle_s = 0.05", "segment.idle_s", "0.1"),
        ("[pen]\npressure_curve = [0, 0, 1]", "pen.pressure_curve", "length 4"),
        ("[pen]\npressure_curve = [0, 0, 1, 1.5]", "pen.pressure_curve[3]", "1.0"),
        ("[pen]\npressure_curve = [0, 0, -0.1, 1]", "pen.pressure_curve[2]", "0.0"),
        ("[pen]\npressure_curve = [0, 0, nan, 1]", "pen.pressure_curve[2]", "a number"),
        ("[pen]\npressure_curve = 'soft'", "pen.pressure_curve", "Expected an array"),
        ("[terminal]\nmode = 'sometimes'", "terminal.mode", "one of on-demand, always"),
        ("[terminal]\nname = 'a/b'", "terminal.name", "matching"),
        ("[verify]\nthreshold = 0", "verify.threshold", "> 0"),
        ("[verify]\nthreshold = 1e-300", "verify.threshold", "0.05 at least: below"),
        ("[verify]\nthreshold = 0.0499", "verify.threshold", "0.05 at least: below"),
        ("[verify]\nthreshold = nan", "verify.threshold", "a number"),
        ("[verify]\nthreshold = '0.5'", "verify.threshold", "Expected a number, got a string"),
        ('[mqtt]\nhost = "h"\nsign = "yes"', "mqtt.sign", "only"),
        ('[mqtt]\nhost = "h"\nsign = "only"\nhome_assistant = "ha"', "mqtt.sign", "Home Assistant"),
        ("[store]\nkeep_days = 0", "store.keep_days", ">= 1"),
        ("[verify]\nthreshold = 0.5\ntarget_fmr = 0.001", "verify.target_fmr", "not both"),
        ("[verify]\ntarget_fmr = 0.5", "verify.target_fmr", "0.1"),
        ("[enroll]\nmin_complexity = 1.5", "enroll.min_complexity", "1.0"),
        ("[adapt]\nevery_days = 0", "adapt.every_days", ">= 1"),
        ("[adapt]\nmax_adapted = 7", "adapt.max_adapted", "<= 6"),
        ("[verify]\nmodels = '/nowhere'", "verify.models", "/nowhere: No such file"),
        ("[verify]\ntries = true", "verify.tries", "Expected a whole number, got true or false"),
        ("[enroll]\nreferences = 2", "enroll.references", ">= 3"),
        ("[enroll]\ntimeout_s = 601", "enroll.timeout_s", "600"),
        ("[segment]\nidle_s = inf", "segment.idle_s", "10"),
        ("[segment]\nmax_duration_s = inf", "segment.max_duration_s", "86400"),
        ("[segment]\nmin_size_mm = 400", "segment.min_size_mm", "less than segment.max_size_mm"),
        ("[segment]\nmax_points = 25", "segment.min_points", "less than segment.max_points"),
        ("[segment]\nmin_duration_s = 20", "segment.min_duration_s", "less than segment.max_duration_s"),
        ("[lockout]\nfirst_s = 3601", "lockout.first_s", "more than lockout.longest_s"),
        ("[lockout]\nrise = [[2, 0.8], [1, 0.9]]", "lockout.rise", "more failures than the one before"),
        ("[lockout]\nrise = [[1, 0.8], [1, 0.9]]", "lockout.rise", "more failures than the one before"),
        ("[lockout]\nrise = [[1, 0.9], [2, 0.8]]", "lockout.rise", "no lower threshold"),
        ("[lockout]\nrise = [[0, 0.9]]", "lockout.rise[0][0]", "1"),
        ("[lockout]\nrise = [[1, 1.1]]", "lockout.rise[0][1]", "1"),
        ("[lockout]\nrise = [[1, 0.0]]", "lockout.rise[0][1]", "0"),
        ("[lockout]\nrise = [1, 0.9]", "lockout.rise[0]", "array"),
        ("[lockout]\nper_day = 0", "lockout.per_day", "1"),
        ("[pen]\ndevice = '/dev/input/event5'", "pen.device", "evdev:"),
        ("[pen]\ndevice = 'isdv4:'", "pen.device", "isdv4:PATH"),
        ("[pen]\ndevice = 'isdv4:ttyS4'", "pen.device", "isdv4:PATH"),
        ("pen = 'evdev:'", "pen", "Expected a table, got a string"),
        ("[store]\npath = 5", "store.path", "path of a file"),
        ("[store]\npath = ''", "store.path", "path of a file"),
        ("[store]\nkey_file = '/nowhere/k'", "store.key_file", "/nowhere/k: No such file"),
        (f"[control]\nsocket = '/{'a' * 107}'", "control.socket", "108 bytes"),
        ("[control]\nallow_users = 'root'", "control.allow_users", "Expected an array, got a string"),
        ("[log]\nlevel = 'verbose'", "log.level", "one of debug, info, warning, error"),
        ("[log]\nlevel = 'x - at `$.pen`'", "log.level", "one of debug"),
        ("[pen", None, "not TOML"),
        ("a = " + "[" * 10_000, None, "not TOML"),
        ("a = " + "1" * 5_000, None, "not TOML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_the_reason(
    tmp_path: Path, text: str, key: str | None, reason: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.key == key
    assert reason in error.problem


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "penlatch.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not TOML"):
        config.load(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent.toml: No such file"):
        config.load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        config.load(tmp_path)


def test_named_files_that_exist_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    text = f"""
    [store]
    key_file = "{path}"
    [mqtt]
    host = "broker"
    username = "t1"
    password_file = "{path}"
    [mqtt.tls]
    ca_file = "{path}"
    cert_file = "{path}"
    key_file = "{path}"
    """
    loaded = config.load(write(tmp_path / "penlatch.toml", text))
    assert loaded.mqtt is not None
    assert loaded.mqtt.password_file == loaded.store.key_file == path


@given(st.text(max_size=200))
def test_no_text_does_worse_than_a_refusal(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    refused = outcome(lambda: config.load(path))
    assert refused is None or refused.path == path


TOML_VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
KNOWN_KEYS = [key for key, _ in keys()]


@given(st.sampled_from(KNOWN_KEYS), TOML_VALUES)
def test_any_value_under_any_key_is_taken_or_refused_with_that_key(key: str, value: object) -> None:
    raw: dict[str, Any] = {}
    *sections, name = key.split(".")
    table = raw
    for section in sections:
        table = table.setdefault(section, {"host": "broker"} if section == "mqtt" else {})
    table[name] = value
    refused = outcome(lambda: config.parse(raw))
    assert refused is None or (refused.key or "").startswith(key)
