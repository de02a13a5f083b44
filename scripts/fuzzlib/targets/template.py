"""A template, once it was opened."""

from __future__ import annotations

import numpy as np

from fuzzlib.target import Target, require
from penlatch.errors import StoreError
from penlatch.verify.template import Template


def _feed(data: bytes) -> None:
    template = Template.from_bytes(data)
    n = len(template)
    require(all(distances.shape == (n, n) for distances in template.between.values()), "its parts do not fit")
    Template.from_bytes(template.to_bytes())


def _seeds() -> list[bytes]:
    numbers = np.linspace(0.0, 1.0, 6)
    template = Template(
        version="m",
        features=numbers.reshape(2, 3),
        references={
            "bilstm_se": tuple(numbers.reshape(2, 3).astype(np.float32)),
            "alignment": (numbers.astype("f4"),) * 2,
        },
        between={"bilstm_se": np.zeros((2, 2)), "alignment": np.zeros((2, 2))},
    )
    tilted = Template("m", template.features, {}, {}, tilt=template.features)
    return [template.to_bytes(), tilted.to_bytes()]


TARGET = Target(
    "a template, opened", _feed, _seeds, (StoreError,), words=(b"\xa3<f4", b"\xa3<f8", b"\x92\x02\x03", b"\xff")
)
