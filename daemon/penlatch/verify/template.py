"""Template: what is kept of a person's references, ready to be compared with, as bytes that can be sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = 1
"""Version of `Template.to_bytes`; a reader refuses any other."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The references of one person, n of them, as every scorer wants them."""

    version: str
    """Digest of the models that made it: it means nothing to others."""
    features: NDArray[np.float64]
    """Global features of the references, float64 [n, features]."""
    references: Mapping[str, tuple[NDArray[np.float32], ...]]
    """By scorer: the references, prepared."""
    between: Mapping[str, NDArray[np.float64]]
    """By scorer: distances between the references, float64 [n, n], 0 on the diagonal."""
    tilt: NDArray[np.float64] | None = None
    """Tilt features of the references, float64 [n, features]; None where the pen of one of them told none."""

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        return f"Template(version={self.version[:12]!r}, references={len(self)})"

    def to_bytes(self) -> bytes:
        """Serialise losslessly (MessagePack, little-endian arrays), for sealing in the vault."""
        return msgspec.msgpack.encode(
            _Packed(
                format=FORMAT,
                version=self.version,
                features=_pack(self.features),
                references={
                    scorer: [_pack(prepared) for prepared in references]
                    for scorer, references in self.references.items()
                },
                between={scorer: _pack(distances) for scorer, distances in self.between.items()},
                tilt=None if self.tilt is None else _pack(self.tilt),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Template:
        """Read what `to_bytes` wrote.

        Raises:
            StoreError: if the bytes are damaged or of another format.
        """
        try:
            packed = msgspec.msgpack.decode(data, type=_Packed)
            template = cls(
                version=packed.version,
                features=_unpack(packed.features),
                references={
                    scorer: tuple(_unpack(prepared) for prepared in references)
                    for scorer, references in packed.references.items()
                },
                between={scorer: _unpack(distances) for scorer, distances in packed.between.items()},
                tilt=None if packed.tilt is None else _unpack(packed.tilt),
            )
        except (*UNREADABLE, ValueError) as error:
            raise StoreError(path="template", problem=f"it is damaged ({error})") from error
        if packed.format != FORMAT:
            raise StoreError(path="template", problem=f"it has format {packed.format}, this is {FORMAT}")
        n = len(template)
        whole = template.features.ndim == 2 and template.references.keys() == template.between.keys()
        whole = whole and (template.tilt is None or (template.tilt.ndim == 2 and len(template.tilt) == n))
        whole = whole and all(len(references) == n for references in template.references.values())
        if not whole or any(distances.shape != (n, n) for distances in template.between.values()):
            raise StoreError(path="template", problem="its parts do not fit together")
        return template


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: Literal["<f4", "<f8"]
    shape: tuple[int, ...]
    data: bytes


class _Packed(msgspec.Struct, frozen=True):
    format: int
    version: str
    features: _Array
    references: dict[str, list[_Array]]
    between: dict[str, _Array]
    tilt: _Array | None = None


def _pack(array: NDArray[np.float32] | NDArray[np.float64]) -> _Array:
    dtype: Literal["<f4", "<f8"] = "<f4" if array.dtype == np.float32 else "<f8"
    return _Array(dtype=dtype, shape=array.shape, data=array.astype(dtype).tobytes())


def _unpack(packed: _Array) -> NDArray[Any]:
    return np.frombuffer(packed.data, dtype=packed.dtype).reshape(packed.shape).copy()
