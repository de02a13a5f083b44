"""Completes a model folder around a trained network: fits the calibration, measures, and writes the manifest.

    python -m training.release --models DIRECTORY [--shipped DIRECTORY]

Needs no TensorFlow. With `--shipped` it also tells how near the new network is to the shipped one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from penlatch.verify.artefacts import CALIBRATION, FORMAT, MANIFEST, NETWORK, Artefacts, Features, Manifest, Sequence
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.runtime import RUNTIME
from penlatch.verify.verifier import analyse
from training.calibration import fit
from training.evaluate import compare, measure
from training.golden import golden_numbers
from training.protocols import TRAINING, unseen_people
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.datasets import Database

GOLDEN_FILE: Final = "golden.json"
DEVELOPMENT: Final[Database] = "svc2004-task2"
"""The people the shipped calibration is fitted to. The network has not met them."""
REFERENCES: Final = 5
SELF_TEST: Final = 2
"""Golden embeddings in the manifest, which a terminal checks itself with."""
COMMAND: Final = "scripts/train"
SAME_EER: Final = 1.5
"""A network trained again on another kind of processor errs as often as the shipped one, within this [% points].

Rounding makes it another network, with other directions in its embedding: cosines between the two say nothing.
"""


def release(models: Path, data: Path | None = None) -> Manifest:
    """Fit the calibration to the network in `models`, write it and the manifest, and return the manifest."""
    network = (models / NETWORK).read_bytes()
    vectors = json.loads((models / GOLDEN_FILE).read_text(encoding="utf-8"))
    draft = _manifest(network, vectors)
    scorer = BilstmSe(Artefacts(directory=models, manifest=draft, digest="", files={NETWORK: network}))
    scorer.check()

    kept = {**vectors, "traces": golden_numbers(scorer)}
    (models / GOLDEN_FILE).write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")

    people = unseen_people(DEVELOPMENT, data)
    comparisons = list(compare(people, lambda trace: analyse(trace, scorer)))
    calibration = msgspec.json.format(msgspec.json.encode(fit(comparisons)), indent=1) + b"\n"
    (models / CALIBRATION).write_bytes(calibration)

    metrics: dict[str, Any] = {
        "protocol": f"{DEVELOPMENT}, first {REFERENCES} references, 5 folds by person (scripts/evaluate)",
        **measure(comparisons, references=REFERENCES),
    }
    manifest = msgspec.structs.replace(draft, sha256=_digests(network, calibration), metrics=metrics)
    (models / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def _digests(network: bytes, calibration: bytes) -> dict[str, str]:
    return {
        NETWORK: hashlib.sha256(network).hexdigest(),
        CALIBRATION: hashlib.sha256(calibration).hexdigest(),
    }


def _manifest(network: bytes, vectors: Mapping[str, Any]) -> Manifest:
    golden = [tuple(vector["converted"]) for vector in vectors["vectors"]]
    return Manifest(
        format=FORMAT,
        sha256=_digests(network, b""),
        sequence=Sequence(name="sequence", length=LENGTH, channels=CHANNELS),
        features=Features(name="features", features=NETWORK_FEATURES),
        outputs={"embedding": (len(golden[0]),)},
        golden=tuple(golden[:SELF_TEST]),
        training_data={
            "network": list(TRAINING),
            "held_out": "every sixth person of susig-visual, susig-blind and sigcomp2009-nfi",
            "calibration": [DEVELOPMENT],
        },
        metrics={},
        command=COMMAND,
        versions={
            "network": vectors["made_with"],
            "calibration": RUNTIME,
            "numpy": importlib.metadata.version("numpy"),
            "python": platform.python_version(),
        },
    )


def main() -> None:
    """Run from the command line; exit status 1 where the new network is worse or better than the shipped one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder with the trained network")
    parser.add_argument("--shipped", type=Path, help="folder to compare it with")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    options = parser.parse_args()

    manifest = release(options.models, options.data)
    print(json.dumps(manifest.metrics, indent=1))
    if options.shipped:
        compare_with_shipped(manifest, options.models, options.shipped)


def compare_with_shipped(manifest: Manifest, models: Path, shipped: Path) -> None:
    """Tell whether new models are the shipped ones, byte by byte, else how near they come.

    Raises:
        SystemExit: with status 1, if their error rates differ by more than `SAME_EER`.
    """
    before = msgspec.json.decode((shipped / MANIFEST).read_bytes(), type=Manifest)
    for name, digest in manifest.sha256.items():
        same = "the same" if digest == before.sha256[name] else "another"
        print(f"{name}: {same}; sha256 shipped {before.sha256[name]}, now {digest}")
    old, new = (
        np.array([v["converted"] for v in json.loads((m / GOLDEN_FILE).read_text(encoding="utf-8"))["vectors"]])
        for m in (shipped, models)
    )
    print(f"cosine of golden embeddings, the least of {len(new)}: {(old * new).sum(axis=1).min():.6f}")
    errors = [m.metrics["penlatch"]["eer_skilled"] for m in (before, manifest)]
    print(f"skilled EER: shipped {errors[0]:.2f} %, now {errors[1]:.2f} %")
    if abs(errors[0] - errors[1]) > SAME_EER:
        raise SystemExit(f"these are not the shipped models: their EER differs by more than {SAME_EER}")


if __name__ == "__main__":
    main()
