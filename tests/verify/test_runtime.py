"""The runtime seam: every trap of a fused LSTM in TensorFlow Lite is shut, on both names of the runtime."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.errors import ModelError
from penlatch.verify.artefacts import NETWORK, Artefacts
from penlatch.verify.bilstm_se import GOLDEN_COSINE, golden_input
from penlatch.verify.runtime import Model
from support import second_runtime
from support.runtimes import told_on_the_second_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

SAME_PROBABILITY = 0.02
"""How far P(genuine) may differ between the runtimes: they round int8 products differently."""


@pytest.fixture(scope="module")
def shipped() -> Artefacts:
    return Artefacts.load()


def shapes(artefacts: Artefacts) -> dict[str, tuple[int, ...]]:
    sequence, features = artefacts.manifest.sequence, artefacts.manifest.features
    return {sequence.name: (sequence.length, len(sequence.channels)), features.name: (len(features.features),)}


def load(artefacts: Artefacts, **changed: Any) -> Model:
    arguments = {"path": "net", "inputs": shapes(artefacts), "outputs": artefacts.manifest.outputs} | changed
    return Model(artefacts.files[NETWORK], **arguments)


def golden(artefacts: Artefacts, number: int) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    (sequence, (length, channels)), (features, (count,)) = shapes(artefacts).items()
    rows, values = golden_input(number, length=length, channels=channels, features=count)
    return {sequence: rows, features: values}


# --- State ------------------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_output_whatever_came_before(shipped: Artefacts) -> None:
    model = load(shipped)
    first = model.run(golden(shipped, 0))
    model.run(golden(shipped, 1))
    again = model.run(golden(shipped, 0))
    assert again.keys() == first.keys() == {"embedding", "frames"}
    assert all(np.array_equal(again[name], first[name]) for name in first)


def test_without_the_reset_it_would_not(shipped: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove that the test above can fail: the fused LSTM does keep its state."""
    model = load(shipped)
    first = model.run(golden(shipped, 0))
    monkeypatch.setattr(model, "_interpreter", Disturbed(model._interpreter, reset_all_variables=lambda: None))
    again = model.run(golden(shipped, 0))
    assert not any(np.allclose(again[name], first[name], atol=1e-3) for name in first)


class Disturbed:
    """An interpreter some of whose methods are others."""

    def __init__(self, interpreter: Any, **methods: Any) -> None:
        self._interpreter, self._methods = interpreter, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._interpreter, name)


# --- The file ---------------------------------------------------------------------------------------------


class Table:
    """As much of a flatbuffer table as it takes to find an operator's options."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]
        self.fields = (struct.unpack_from("<H", data, self.vtable)[0] - 4) // 2

    def place(self, field: int) -> int | None:
        offset = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * field)[0] if field < self.fields else 0
        return self.at + offset if offset else None

    def scalar(self, field: int, kind: str) -> Any:
        place = self.place(field)
        return struct.unpack_from("<" + kind, self.data, place)[0] if place else 0

    def table(self, field: int) -> Table:
        place = self.place(field)
        assert place
        return Table(self.data, place + struct.unpack_from("<I", self.data, place)[0])

    def tables(self, field: int) -> list[Table]:
        place = self.place(field)
        assert place
        vector = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, vector)[0]
        places = [vector + 4 + 4 * i for i in range(count)]
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]


def lstm_options(content: bytes) -> list[Table]:
    """Return the UnidirectionalSequenceLSTMOptions in a model (fields as in TensorFlow Lite's schema)."""
    model = Table(content, struct.unpack_from("<I", content, 0)[0])
    codes = [code.scalar(3, "i") for code in model.tables(1)]
    sequence_lstm = 44
    return [
        operator.table(4)
        for graph in model.tables(2)
        for operator in graph.tables(3)
        if codes[operator.scalar(0, "I")] == sequence_lstm
    ]


def test_the_shipped_lstms_are_fused_and_do_not_clip_their_cells(shipped: Artefacts) -> None:
    options = lstm_options(shipped.files[NETWORK])
    assert len(options) == 2
    assert [table.scalar(1, "f") for table in options] == [0.0, 0.0]
    # The field beside it is set, so that a reader of the wrong table would be found out: activation TANH.
    assert [table.scalar(0, "b") for table in options] == [4, 4]


def test_the_shipped_network_has_no_loops_and_no_foreign_operators(shipped: Artefacts) -> None:
    names = {detail["op_name"] for detail in load(shipped)._interpreter._get_ops_details()}
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in names
    assert not {name for name in names if name in {"WHILE", "IF", "CUSTOM", "VAR_HANDLE"} or name.startswith("Flex")}


# --- Refusals ---------------------------------------------------------------------------------------------


def test_what_is_no_model_is_refused(shipped: Artefacts) -> None:
    with pytest.raises(ModelError, match="refuses it"):
        Model(b"TFL3" + bytes(100), path="net", inputs=shapes(shipped), outputs=shipped.manifest.outputs)


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": {"sequence": (256, 3), "features": (70,)}},
        {"inputs": {"sequence": (256, 14)}},
        {"outputs": {"embedding": (65,), "frames": (64, 32)}},
        {"outputs": {"embedding": (64,), "frames": (32, 64)}},
        {"outputs": {"embedding": (64,)}},
        {"outputs": {}},
    ],
)
def test_other_inputs_or_outputs_than_declared_are_refused(shipped: Artefacts, changed: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"tensors that could be|inputs and"):
        load(shipped, **changed)


def test_an_input_of_another_name_is_refused(shipped: Artefacts) -> None:
    renamed = {f"other_{name}": shape for name, shape in shapes(shipped).items()}
    with pytest.raises(ModelError, match="other_sequence"):
        load(shipped, inputs=renamed)


def test_an_input_of_another_shape_is_an_error_not_an_answer(shipped: Artefacts) -> None:
    inputs = golden(shipped, 0)
    inputs["sequence"] = inputs["sequence"][:-1]
    with pytest.raises(ModelError, match="fails on it"):
        load(shipped).run(inputs)


def test_an_answer_that_is_not_a_number_is_an_error(shipped: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(shipped)
    nothing = Disturbed(model._interpreter, get_tensor=lambda _: np.full((1, 64), np.nan, dtype=np.float32))
    monkeypatch.setattr(model, "_interpreter", nothing)
    with pytest.raises(ModelError, match="not a number"):
        model.run(golden(shipped, 0))


# --- Both runtimes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """What `support.second_runtime` tells on ai-edge-litert."""
    return told_on_the_second_runtime(second_runtime)


def test_golden_vectors_here() -> None:
    assert second_runtime.least_golden_cosine() >= GOLDEN_COSINE


def test_golden_vectors_on_the_second_runtime(elsewhere: dict[str, Any]) -> None:
    assert elsewhere["runtime"].startswith("ai-edge-litert ")
    assert elsewhere["least_golden_cosine"] >= GOLDEN_COSINE


def test_both_runtimes_give_the_same_probabilities(
    elsewhere: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    here = second_runtime.probabilities()
    assert min(here) < 0.5 < max(here), "people who all look alike would prove nothing"
    difference = float(np.abs(np.array(here) - np.array(elsewhere["probabilities"])).max())
    record_property("largest difference in P(genuine)", difference)
    assert difference <= SAME_PROBABILITY
