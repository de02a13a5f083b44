"""InkML: what is written is read back exactly, other people's documents are understood, hostile ones refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.replay import inkml
from penlatch.capture.replay.inkml import NAMESPACE, read_inkml, write_inkml
from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace
from support.traces import traces

if TYPE_CHECKING:
    from pathlib import Path


PLAIN = '<channel name="X"/><channel name="Y"/><channel name="T"/>'
SECOND = "1125 18432 0,'23'43 1,\"7\"-8 2, 3-5 3"


def document(
    traces: str = "<trace>1 2 0 512, 3 4 10 1024</trace>",
    *,
    channels: str = '<channel name="X" units="mm"/><channel name="Y" units="mm"/><channel name="T" units="ms"/>'
    '<channel name="F" max="1024"/>',
    around: str = "<traceFormat>{}</traceFormat>",
) -> str:
    return f'<ink xmlns="{NAMESPACE}"><definitions>{around.format(channels)}</definitions>{traces}</ink>'


# --- what we write --------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(trace=traces())
def test_what_is_written_is_read_back_exactly(trace: Trace) -> None:
    assert read_inkml(write_inkml(trace)).to_bytes() == trace.to_bytes()


def test_it_is_inkml_to_any_reader() -> None:
    trace = Trace(
        t=np.array([0, 0.1, 0.2]),
        x=np.array([1.0, 2.0, 3.0]),
        y=np.zeros(3),
        p=np.array([0.5, 0, 0.25]),
        down=np.array([True, False, True]),
        pen=PenInfo(name="Pen & <co>"),
    )
    root = ET.fromstring(write_inkml(trace))  # noqa: S314 - ours
    space = {"i": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}ink"
    assert [each.get("name") for each in root.iterfind(".//i:channel", space)] == ["X", "Y", "T", "F"]
    assert [each.get("type") for each in root.iterfind("i:trace", space)] == ["penDown", "penUp", "penDown"]
    assert [each.text for each in root.iterfind("i:trace", space)] == [
        "1.0 0.0 0.0 0.5",
        "2.0 0.0 0.1 0.0",
        "3.0 0.0 0.2 0.25",
    ]
    source = root.find(".//i:inkSource", space)
    assert source is not None
    assert source.get("model") == "Pen & <co>"


def test_what_xml_cannot_hold_of_a_name_is_escaped() -> None:
    trace = Trace(
        t=np.zeros(1),
        x=np.zeros(1),
        y=np.zeros(1),
        p=np.ones(1),
        down=np.ones(1, dtype=np.bool_),
        pen=PenInfo(name="bad\x00\ud800name"),
    )
    assert read_inkml(write_inkml(trace)).pen.name == r"bad\u0000\ud800name"


# --- what others write ----------------------------------------------------------------------------------------


def test_a_document_of_somebody_else() -> None:
    trace = read_inkml(document())
    assert trace.x.tolist() == [1, 3]
    assert trace.y.tolist() == [2, 4]
    assert trace.t.tolist() == [0, 0.01]
    assert trace.p.tolist() == [0.5, 1]
    assert trace.down.tolist() == [True, True]
    assert trace.pen == PenInfo(name="InkML")


def test_a_document_without_a_namespace() -> None:
    assert len(read_inkml(document().replace(f' xmlns="{NAMESPACE}"', ""))) == 2


def test_elements_of_other_namespaces_are_passed_over() -> None:
    strange = '<annotationXML><trace xmlns="urn:other">nonsense</trace></annotationXML>'
    assert len(read_inkml(document(strange + "<trace>1 2 0 512</trace>"))) == 1


def test_traces_in_groups_follow_each_other() -> None:
    grouped = "<traceGroup><trace>1 2 0 1</trace><traceGroup><trace>3 4 1 1</trace></traceGroup></traceGroup>"
    assert read_inkml(document(grouped)).x.tolist() == [1, 3]


def test_time_starts_at_the_first_point() -> None:
    assert read_inkml(document("<trace>1 2 5000 1, 1 2 5010 1</trace>")).t.tolist() == [0, 0.01]


@pytest.mark.parametrize(("units", "factor"), [("mm", 1), ("cm", 10), ("in", 25.4), ("m", 1000)])
def test_lengths_become_millimetres(units: str, factor: float) -> None:
    trace = read_inkml(document().replace('units="mm"', f'units="{units}"'))
    assert trace.x.tolist() == [factor, 3 * factor]
    assert trace.pen.unit == "mm"


@pytest.mark.parametrize("units", ['units="dev"', ""])
def test_device_units_stay_as_they_are(units: str) -> None:
    trace = read_inkml(document().replace('units="mm"', units))
    assert trace.x.tolist() == [1, 3]
    assert trace.pen.unit == "tablet"


def test_without_force_there_is_no_pressure() -> None:
    channels = '<channel name="X"/><channel name="Y"/><channel name="T" units="s"/>'
    trace = read_inkml(document('<trace>1 2 0</trace><trace type="penUp">1 2 1</trace>', channels=channels))
    assert not trace.pen.has_pressure
    assert trace.p.tolist() == [1, 0]
    assert trace.t.tolist() == [0, 1]


def test_force_may_begin_elsewhere_than_at_nothing() -> None:
    trace = read_inkml(document().replace('max="1024"', 'min="256" max="1280"'))
    assert trace.p.tolist() == [0.25, 0.75]


def test_angles_become_degrees() -> None:
    channels = PLAIN + '<channel name="OTx" units="rad"/><channel name="OTy"/>'
    trace = read_inkml(document("<trace>1 2 0 0.5 30</trace>", channels=channels))
    assert trace.tilt_x is not None
    assert trace.tilt_y is not None
    np.testing.assert_allclose([trace.tilt_x[0], trace.tilt_y[0]], [28.64789, 30], rtol=1e-6)


def test_channels_of_no_interest_may_hold_anything() -> None:
    channels = '<channel name="X"/><channel name="B1" type="boolean"/><channel name="Y"/><channel name="T"/>'
    assert read_inkml(document("<trace>1 T 2 0, 3F4 1</trace>", channels=channels)).y.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        pytest.param("10 20 0, 12 24 1", [10, 12], [20, 24], id="explicit"),
        pytest.param("10 20 0,'2'4 1, -3 1 2", [10, 12, 9], [20, 24, 25], id="first differences"),
        pytest.param(SECOND, [1125, 1148, 1178, 1211], [18432, 18475, 18510, 18540], id="second differences"),
        pytest.param("10 20 0, * 25 1, 11 * 2", [10, 10, 11], [20, 25, 25], id="no change"),
        pytest.param("10 20 0,'2'4 1, ** 2", [10, 12, 14], [20, 24, 28], id="no change of velocity"),
        pytest.param("10 20 0,'2'4 1, !5!6 2", [10, 12, 5], [20, 24, 6], id="explicit again"),
        pytest.param("#A #14 0, .5-1.5e1 1", [10, 0.5], [20, -15], id="hexadecimal and decimal"),
    ],
)
def test_values_may_be_differences(text: str, x: list[float], y: list[float]) -> None:
    trace = read_inkml(document(f"<trace>{text}</trace>", channels=PLAIN))
    assert trace.x.tolist() == x
    assert trace.y.tolist() == y


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "it is no XML", id="empty"),
        pytest.param("<ink", "it is no XML", id="cut off"),
        pytest.param("<svg/>", "it is no InkML", id="another language"),
        pytest.param(document(around="{}"), "0 trace formats", id="no format"),
        pytest.param(
            document(around="<traceFormat>{}</traceFormat><traceFormat/>"), "2 trace formats", id="two formats"
        ),
        pytest.param(
            document(around="<traceFormat>{}<intermittentChannels/></traceFormat>"), "intermittent", id="intermittent"
        ),
        pytest.param(
            document(channels='<channel name="X"/><channel name="F" max="1"/>'), "no channel T, Y", id="missing"
        ),
        pytest.param(document(channels='<channel name="X"/><channel name="X"/>'), "occurs twice", id="twice"),
        pytest.param(document().replace('name="X" units="mm"', 'name="X"'), "one of X and Y", id="mixed units"),
        pytest.param(document().replace('units="ms"', 'units="h"'), "other units than s, ms", id="hours"),
        pytest.param(document().replace(' max="1024"', ""), "strongest force", id="force without measure"),
        pytest.param(document().replace('max="1024"', 'max="0"'), "strongest force", id="no force"),
        pytest.param(document().replace('max="1024"', 'max="much"'), "max is no number", id="force in words"),
        pytest.param(document(""), "no traces", id="no traces"),
        pytest.param(document("<trace>1 2 0</trace>"), "has not 4 values", id="a value is missing"),
        pytest.param(document("<trace>1 2 0 4 5</trace>"), "has not 4 values", id="a value too many"),
        pytest.param(document("<trace>1 2 0 ?</trace>"), "has not 4 values", id="an unknown value"),
        pytest.param(document("<trace></trace>"), "has not 4 values", id="an empty trace"),
        pytest.param(
            document('<trace type="indeterminate">1 2 0 4</trace>'), "neither penDown nor penUp", id="hovering or not"
        ),
        pytest.param(document("<trace>1 2 5 4, 1 2 4 4</trace>"), "time runs backwards", id="backwards"),
        pytest.param(document("<trace>1 2 5 2000</trace>"), "pressure leaves 0..1", id="too much force"),
        pytest.param(document("<trace>1e999 2 5 4</trace>"), "not finite", id="infinite"),
        pytest.param(document("<trace>1 2 1e999 4</trace>"), "not finite", id="from infinity on"),
    ],
)
@pytest.mark.filterwarnings("error")  # numpy's, which quote a line of the program to whoever reads the journal
def test_what_cannot_be_a_signature_is_refused(text: str, problem: str) -> None:
    with pytest.raises(TraceError, match=problem):
        read_inkml(text)


@pytest.mark.parametrize(
    "doctype",
    [
        pytest.param('<!DOCTYPE ink [<!ENTITY a "1 2 0 4"><!ENTITY b "&a;,&a;">]>', id="entities"),
        pytest.param('<!DOCTYPE ink SYSTEM "file:///etc/passwd">', id="an external document"),
        pytest.param('<!DOCTYPE ink [<!ENTITY x SYSTEM "file:///etc/passwd">]>', id="an external entity"),
    ],
)
def test_a_document_type_is_refused_before_it_can_do_anything(doctype: str) -> None:
    with pytest.raises(TraceError, match="document type") as caught:
        read_inkml(doctype + document("<trace>&b;</trace>"))
    assert caught.value.line == 1


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inkml, "SIZE_MAX", 100)
    path = tmp_path / "large.inkml"
    path.write_text(document())
    with pytest.raises(TraceError, match="larger than"):
        read_inkml(path)


def test_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "signature.inkml"
    path.write_text(document("\n\n<trace>nonsense</trace>"))
    with pytest.raises(TraceError, match=r"signature\.inkml:3: "):
        read_inkml(path)


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_inkml(tmp_path / "absent.inkml")


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "utf-8"])
def test_a_file_may_be_in_any_encoding_it_declares(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "signature.inkml"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?>{document()}', encoding=encoding)
    assert len(read_inkml(path)) == 2


@pytest.mark.parametrize("encoding", ["klingon", "utf-32", "idna", "gb18030"])
def test_an_encoding_that_is_not_known_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "signature.inkml"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?>{document()}')
    with pytest.raises(TraceError):
        read_inkml(path)


rubbish = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("0123456789-+.eE,'\"!*?#TF \n"), max_size=40).map(
        lambda text: document(f"<trace>{text}</trace>")
    ),
    st.lists(
        st.tuples(st.sampled_from(["X", "Y", "T", "F", "B"]), st.sampled_from(["", "mm", "s", "dev", "1"])), max_size=5
    ).map(
        lambda channels: document(
            channels="".join(f'<channel name="{name}" units="{units}" max="{units}"/>' for name, units in channels)
        )
    ),
)


@settings(max_examples=100, deadline=None)
@given(text=rubbish)
def test_rubbish_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(TraceError):
        read_inkml(text)


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=60))
def test_rubbish_in_a_file_raises_nothing_else(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.inkml"
    path.write_bytes(data)
    with pytest.raises(TraceError):
        read_inkml(path)
