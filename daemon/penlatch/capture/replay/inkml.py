"""InkML: signatures in the Ink Markup Language of the W3C (Recommendation of 20 September 2011), read and written.

Of the language this takes what a signature needs: one trace format with the channels X, Y, T and perhaps F, OTx, OTy;
and traces of type penDown and penUp, their values explicit or as first or second differences. X grows to the right and
Y downwards, as in `Trace`. Units are read as follows:

- X and Y in mm, cm, m or in; or in `dev`, the units of a tablet whose resolution is not known.
- T in s or ms (ms where nothing is said), and on one clock for all traces.
- F as a share of what lies between the `min` (0 where nothing is said) and the `max` of its channel.
- OTx and OTy in deg or rad (deg where nothing is said).

A file from outside may be hostile: more than `SIZE_MAX` is refused, and so is a document type and with it every entity.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.parsers import expat

import numpy as np

from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

NAMESPACE = "http://www.w3.org/2003/InkML"
SIZE_MAX = 16 << 20
"""Largest document read [bytes]: hours of writing."""

_LENGTHS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}
"""Length units [mm]."""
_TIMES = {"s": 1.0, "ms": 1e-3}
"""Time units [s]."""
_ANGLES = {"deg": 1.0, "rad": math.degrees(1)}
"""Angle units [degrees]."""
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VALUE = re.compile(
    r"""\s* (?P<order>[!'"]?) \s* (?:
        (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
        | \#(?P<hex>[0-9A-Fa-f]{1,13})
        | (?P<same>\*)
        | (?P<other>[TF?])
    ) \s*""",
    re.VERBOSE | re.ASCII,
)
"""One value of a point. `*` keeps the value, or its velocity where differences are given; T, F and ? are no numbers."""
_ORDERS = {"!": 0, "'": 1, '"': 2}
"""Explicit values, first differences, second differences."""
_READ = frozenset({"X", "Y", "T", "F", "OTx", "OTy"})
"""Channels whose values are used; others may hold anything."""


def write_inkml(trace: Trace) -> str:
    """Return `trace` as a document that `read_inkml` turns into the very same trace.

    Each run of contact frames becomes a trace of type penDown, each run of hovering frames one of type penUp. A pen
    without pressure gets no channel F. What XML cannot hold of the pen's name is replaced.
    """
    length = trace.pen.unit if trace.pen.unit == "mm" else "dev"
    channels: list[tuple[str, dict[str, str], NDArray[np.float64]]] = [
        ("X", {"units": length}, trace.x),
        ("Y", {"units": length}, trace.y),
        ("T", {"units": "s"}, trace.t),
    ]
    if trace.pen.has_pressure:
        channels.append(("F", {"min": "0", "max": "1"}, trace.p))
    for name, tilt in (("OTx", trace.tilt_x), ("OTy", trace.tilt_y)):
        if tilt is not None:
            channels.append((name, {"units": "deg"}, tilt))
    ink = ET.Element("ink", {"xmlns": NAMESPACE})
    source = ET.SubElement(
        ET.SubElement(ink, "definitions"),
        "inkSource",
        {"xml:id": "pen", "model": _NOT_IN_XML.sub("\ufffd", trace.pen.name)},
    )
    trace_format = ET.SubElement(source, "traceFormat")
    for name, attributes, _ in channels:
        ET.SubElement(trace_format, "channel", {"name": name, "type": "double", **attributes})
    ET.SubElement(ink, "context", {"inkSourceRef": "#pen"})
    points = np.column_stack([column for _, _, column in channels]).tolist()
    edges = [0, *(np.flatnonzero(np.diff(trace.down)) + 1).tolist(), len(trace)]
    for start, stop in pairwise(edges):
        run = ET.SubElement(ink, "trace", {"type": "penDown" if trace.down[start] else "penUp"})
        run.text = ", ".join(" ".join(map(repr, point)) for point in points[start:stop])
    ET.indent(ink)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(ink, encoding="unicode") + "\n"


def read_inkml(source: Path | str) -> Trace:
    """Read one signature.

    Args:
        source: path of a file, or the document itself.

    Raises:
        TraceError: naming file and line where they are known, if it is no such document.
    """
    if isinstance(source, str):
        return _read(source.encode("utf-8", errors="surrogatepass"), encoding="utf-8")
    try:
        with source.open("rb") as file:
            document = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise TraceError(problem=error.strerror or str(error), path=source) from error
    try:
        return _read(document)
    except TraceError as error:
        raise TraceError(problem=error.problem, path=source, line=error.line) from error


def _read(document: bytes, *, encoding: str | None = None) -> Trace:
    elements = _elements(document, encoding)
    channels = _channels(elements)
    rows: list[list[float]] = []
    down: list[bool] = []
    for trace in (element for element in elements if element.name == "trace"):
        kind = trace.attributes.get("type", "penDown")
        if kind not in ("penDown", "penUp"):
            raise TraceError(problem="this trace is neither penDown nor penUp", line=trace.line)
        points = _points(trace, channels)
        rows += points
        down += [kind == "penDown"] * len(points)
    if not rows:
        raise TraceError(problem="it has no traces")
    values = np.array(rows, dtype=np.float64).T
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then, no trace takes
        columns = {
            channel.name: (raw - (raw[0] if channel.name == "T" else channel.offset)) * channel.scale
            for channel, raw in zip(channels, values, strict=True)
        }
    touching = np.array(down)
    name = next((each.attributes["model"] for each in elements if "model" in each.attributes), "InkML")
    return Trace(
        t=columns["T"],
        x=columns["X"],
        y=columns["Y"],
        p=columns.get("F", touching.astype(np.float64)),
        down=touching,
        tilt_x=columns.get("OTx"),
        tilt_y=columns.get("OTy"),
        pen=PenInfo(name=name, unit=_unit(elements), has_pressure="F" in columns),
    )


@dataclass(slots=True)
class _Element:
    """One element of the document, without the elements inside it."""

    name: str
    attributes: dict[str, str]
    line: int
    text: list[str] = field(default_factory=list)


def _elements(document: bytes, encoding: str | None) -> list[_Element]:
    """Return the elements of the document in the order in which they begin; `encoding` overrides what it declares."""
    if len(document) > SIZE_MAX:
        raise TraceError(problem=f"it is larger than {SIZE_MAX >> 20} MiB")
    elements: list[_Element] = []
    inside: list[_Element] = []
    parser = expat.ParserCreate(encoding, " ")

    def start(name: str, attributes: dict[str, str]) -> None:
        element = _Element(name.removeprefix(NAMESPACE + " "), attributes, parser.CurrentLineNumber)
        elements.append(element)
        inside.append(element)

    def end(_: str) -> None:
        inside.pop()

    def data(text: str) -> None:
        inside[-1].text.append(text)

    def doctype(*_: object) -> None:
        raise TraceError(problem="it has a document type, which may hide anything", line=parser.CurrentLineNumber)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise TraceError(problem=f"it is no XML: {expat.ErrorString(error.code)}", line=error.lineno) from error
    except (LookupError, ValueError) as error:
        raise TraceError(problem="it is in an encoding that is not known here") from error
    if elements[0].name != "ink":
        raise TraceError(problem="it is no InkML", line=elements[0].line)
    return elements


@dataclass(frozen=True, slots=True)
class _Channel:
    """One value of every point, and how it becomes a value of ours: (value - offset) * scale."""

    name: str
    scale: float = 1.0
    offset: float = 0.0


def _channels(elements: list[_Element]) -> list[_Channel]:
    """Return the channels of the one trace format."""
    formats = [element.name for element in elements].count("traceFormat")
    if formats != 1:
        raise TraceError(problem=f"it has {formats} trace formats, and one is needed")
    if any(element.name == "intermittentChannels" for element in elements):
        raise TraceError(problem="it has intermittent channels")
    channels = [_channel(element) for element in elements if element.name == "channel"]
    names = [channel.name for channel in channels]
    if len(set(names)) != len(names):
        raise TraceError(problem="a channel occurs twice")
    if missing := {"X", "Y", "T"} - set(names):
        raise TraceError(problem=f"it has no channel {', '.join(sorted(missing))}")
    return channels


def _channel(element: _Element) -> _Channel:
    name = element.attributes.get("name", "")
    match name:
        case "X" | "Y":
            return _Channel(name, _factor(element, "dev", {"dev": 1.0, **_LENGTHS}))
        case "T":
            return _Channel(name, _factor(element, "ms", _TIMES))
        case "OTx" | "OTy":
            return _Channel(name, _factor(element, "deg", _ANGLES))
        case "F":
            least, most = _number(element, "min", 0.0), _number(element, "max", math.nan)
            if not 0 < most - least < math.inf:
                raise TraceError(problem="channel F does not say how strong the strongest force is", line=element.line)
            return _Channel(name, 1 / (most - least), least)
        case _:
            return _Channel(name)


def _factor(element: _Element, default: str, factors: Mapping[str, float]) -> float:
    units = element.attributes.get("units", default)
    if units not in factors:
        raise TraceError(problem=f"a channel has other units than {', '.join(factors)}", line=element.line)
    return factors[units]


def _number(element: _Element, attribute: str, default: float) -> float:
    try:
        return float(element.attributes.get(attribute, default))
    except ValueError as error:
        raise TraceError(problem=f"{attribute} is no number", line=element.line) from error


def _unit(elements: list[_Element]) -> Unit:
    """Return the length unit of X and Y, which must be of one kind."""
    kinds = {
        element.attributes.get("units", "dev") == "dev"
        for element in elements
        if element.name == "channel" and element.attributes.get("name") in ("X", "Y")
    }
    if len(kinds) > 1:
        raise TraceError(problem="one of X and Y has a unit of length, the other has not")
    return "tablet" if True in kinds else "mm"


def _points(trace: _Element, channels: list[_Channel]) -> list[list[float]]:
    """Return the points of a trace, each with one value per channel, in the units of the document."""
    decoders = [_Values() for _ in channels]
    points = []
    for point in "".join(trace.text).split(","):
        values, position = [], 0
        for channel, decoder in zip(channels, decoders, strict=True):
            found = _VALUE.match(point, position)
            if found is None or (found["other"] and channel.name in _READ):
                break
            values.append(decoder.next(found))
            position = found.end()
        if len(values) < len(channels) or position < len(point):
            raise TraceError(problem=f"a point of this trace has not {len(channels)} values", line=trace.line)
        points.append(values)
    return points


class _Values:
    """The values of one channel along one trace; a prefix says from where on they are differences."""

    def __init__(self) -> None:
        self._order = 0
        self._value = self._velocity = 0.0

    def next(self, found: re.Match[str]) -> float:
        """Return the value that a match of `_VALUE` stands for."""
        if found["order"]:
            self._order = _ORDERS[found["order"]]
        if found["other"]:
            return math.nan
        before = self._value
        if found["same"]:
            self._value += self._velocity if self._order else 0.0
            return self._value
        number = float(int(found["hex"], 16)) if found["hex"] else float(found["number"])
        match self._order:
            case 0:
                self._value = number
            case 1:
                self._value += number
            case _:
                self._value += self._velocity + number
        self._velocity = self._value - before
        return self._value
