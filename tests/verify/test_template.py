"""Template: what is stored of a person comes back as it was, or not at all."""

from __future__ import annotations

import contextlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import StoreError
from penlatch.verify.template import Template


def template(n: int = 3, *, version: str = "v" * 64) -> Template:
    rng = np.random.default_rng(n)
    return Template(
        version=version,
        features=rng.normal(size=(n, 7)),
        references={
            "net": tuple(rng.normal(size=4).astype(np.float32) for _ in range(n)),
            "dtw": tuple(rng.normal(size=(10 + i, 5)).astype(np.float32) for i in range(n)),
        },
        between={"net": rng.random((n, n)), "dtw": rng.random((n, n))},
    )


@pytest.mark.parametrize("n", [3, 5, 12])
def test_it_comes_back_without_loss(n: int) -> None:
    before = template(n)
    after = Template.from_bytes(before.to_bytes())
    assert len(after) == n
    assert after.version == before.version
    assert np.array_equal(after.features, before.features)
    assert after.references.keys() == before.references.keys()
    for scorer, references in before.references.items():
        assert all(np.array_equal(a, b) for a, b in zip(references, after.references[scorer], strict=True))
        assert all(a.dtype == np.float32 for a in after.references[scorer])
        assert np.array_equal(before.between[scorer], after.between[scorer])


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2000), flip=st.integers(0, 2000))
def test_damaged_bytes_raise_one_error_and_no_other(cut: int, flip: int) -> None:
    data = bytearray(template().to_bytes())
    data[flip % len(data)] ^= 0xFF
    with contextlib.suppress(StoreError):
        Template.from_bytes(bytes(data[: len(data) - cut % 3]))


def test_a_truncated_template_is_refused() -> None:
    with pytest.raises(StoreError, match="damaged"):
        Template.from_bytes(template().to_bytes()[:-1])


def test_another_format_is_refused() -> None:
    raw = msgspec.msgpack.decode(template().to_bytes())
    raw["format"] = 2
    with pytest.raises(StoreError, match="format 2, this is 1"):
        Template.from_bytes(msgspec.msgpack.encode(raw))


def test_parts_that_do_not_fit_together_are_refused() -> None:
    raw = msgspec.msgpack.decode(template().to_bytes())
    raw["references"]["net"].pop()
    with pytest.raises(StoreError, match="do not fit together"):
        Template.from_bytes(msgspec.msgpack.encode(raw))


def test_its_repr_shows_nothing_of_a_signature() -> None:
    assert repr(template()) == "Template(version='vvvvvvvvvvvv', references=3)"
