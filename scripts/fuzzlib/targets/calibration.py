"""A calibration, as shipped."""

from __future__ import annotations

from fuzzlib.target import Target
from penlatch.errors import ModelError
from penlatch.verify.artefacts import CALIBRATION, default_directory
from penlatch.verify.calibrate import Calibration

TARGET = Target(
    "a calibration",
    lambda data: Calibration.from_bytes(data, path=CALIBRATION),
    lambda: [(default_directory() / CALIBRATION).read_bytes()],
    (ModelError,),
    slow=True,
)
