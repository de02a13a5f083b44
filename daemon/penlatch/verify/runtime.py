"""The one import seam of TensorFlow Lite: a model from bytes, one thread, no memory from one run to the next."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from penlatch.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

# The same runtime under two names: the first ends with Python 3.11, the second carries on.
_RUNTIMES = (
    ("tflite_runtime", "tflite-runtime"),
    ("ai_edge_litert", "ai-edge-litert"),
)


def _find_runtime() -> tuple[Any, str]:
    for package, distribution in _RUNTIMES:
        try:
            found = importlib.import_module(f"{package}.interpreter")
        except ImportError:
            continue
        # Without XNNPACK: it packs every weight once more, 0.7 MB, to be faster by less than 0.2 ms.
        plain = found.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = functools.partial(found.Interpreter, experimental_op_resolver_type=plain)
        # The package's own word: importlib.metadata would cost 2 MB and a tenth of the start.
        return interpreter, f"{distribution} {importlib.import_module(package).__version__}"
    names = " or ".join(distribution for _, distribution in _RUNTIMES)
    raise ModelError(path="runtime", problem=f"neither {names} is installed")


_Interpreter, RUNTIME = _find_runtime()
"""`RUNTIME` is the name and version of what runs the models, e.g. `tflite-runtime 2.14.0`."""


class Model:
    """One model, ready to run. Not thread-safe: it lives on the thread that made it or behind a lock.

    Inputs are known by name *and* shape, outputs by shape: converters keep neither their order nor the outputs' names.
    """

    def __init__(
        self,
        content: bytes,
        *,
        path: Path | str,
        inputs: Mapping[str, tuple[int, ...]],
        outputs: Mapping[str, tuple[int, ...]],
    ) -> None:
        """Load a model.

        Args:
            content: The `.tflite` file. Bytes, not a path: what was hashed is what runs.
            path: Where it came from, for messages.
            inputs: Shape of each input by its name, without the batch axis.
            outputs: Shape of each output by the name it shall have here, likewise; no two alike.

        Raises:
            ModelError: if the runtime refuses the file, or its inputs or outputs are others.
        """
        self._path = path
        try:
            # Two threads gain nothing on a network of this size and cost up to 160 ms at the 99th percentile.
            self._interpreter = _Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
            found_in, found_out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise ModelError(path=path, problem=f"{RUNTIME} refuses it: {error}") from error
        self._inputs = {name: self._index(found_in, name, shape) for name, shape in inputs.items()}
        self._outputs = {name: self._index(found_out, None, shape) for name, shape in outputs.items()}
        if len(found_in) != len(inputs) or len(found_out) != len(outputs):
            raise ModelError(path=path, problem=f"it has {len(found_in)} inputs and {len(found_out)} outputs")

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Run once, on one sample.

        Args:
            inputs: float32 by input name, in the shapes the model was loaded with.

        Returns:
            float32 by output name.

        Raises:
            ModelError: if the runtime fails, or an output is not finite.
        """
        try:
            # The fused LSTM keeps its state across invoke(): without this the same input gives another output.
            self._interpreter.reset_all_variables()
            for name, index in self._inputs.items():
                self._interpreter.set_tensor(index, inputs[name][None])
            self._interpreter.invoke()
            outputs = {name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()}
        except (ValueError, RuntimeError) as error:
            raise ModelError(path=self._path, problem=f"{RUNTIME} fails on it: {error}") from error
        if not all(np.isfinite(output).all() for output in outputs.values()):
            raise ModelError(path=self._path, problem="it answers with what is not a number")
        return outputs

    def _index(self, details: list[dict[str, Any]], name: str | None, shape: tuple[int, ...]) -> int:
        """Return the index of the one float32 tensor of this name (if given) and shape."""
        matches = [
            int(detail["index"])
            for detail in details
            if tuple(detail["shape"]) == (1, *shape)
            and detail["dtype"] == np.float32
            and (name is None or name in _words(detail["name"]))
        ]
        if len(matches) != 1:
            wanted = f"float32 {name or 'output'} of shape {shape}"
            raise ModelError(path=self._path, problem=f"it has {len(matches)} tensors that could be the {wanted}")
        return matches[0]


def _words(name: str) -> list[str]:
    """`serving_default_sequence:0` -> [..., `sequence`]: converters decorate names."""
    plain = name.partition(":")[0]
    return [plain, plain.removeprefix("serving_default_")]
