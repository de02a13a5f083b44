"""The configuration."""

from __future__ import annotations

from fuzzlib.target import FOLDER, Target
from penlatch import config
from penlatch.errors import ConfigError

_SEED = b"""[terminal]
name = "door-1"
[pen]
device = "evdev:auto"
pressure_curve = [0.1, 0.2, 0.8, 0.9]
[verify]
threshold = 0.5
[segment]
min_points = 9
[mqtt]
host = "b"
port = 1
requests = ["verify"]
[mqtt.tls]
[lockout]
first_s = 30
[bolt]
command = ["/bin/true"]
pulse_s = 1
[control]
socket = "/run/s"
"""


TARGET = Target(
    "the configuration",
    lambda data: config.load(FOLDER.file("penlatch.toml", data)),
    lambda: [_SEED, b'[terminal]\nname = "door-1"\n', b'terminal = {name = "a"}\npen.device = "isdv4:/dev/ttyS0"\n'],
    (ConfigError,),
    words=(
        b"= ",
        b"\n[",
        b"inf",
        b"nan",
        b"1979-05-27",
        b"0x",
        b"'''",
        b"\\u0000",
        b"key_file = ",
        b'"/',
        b"target_fmr = 1",
    ),
)
