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
from penlatch.verify.verifier import Verifier, analyse
from training.calibration import fit
from training.evaluate import agreement, calibrated_scores, compare, dtw_scores, summary
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
SAME: Final = 0.99
"""A network trained again embeds golden inputs at least this near (cosine) to the shipped one, on any machine."""


def release(models: Path, data: Path | None = None) -> Manifest:
    """Fit the calibration to the network in `models`, write it and the manifest, and return the manifest."""
    network = (models / NETWORK).read_bytes()
    vectors = json.loads((models / GOLDEN_FILE).read_text(encoding="utf-8"))
    draft = _manifest(network, vectors)
    scorer = BilstmSe(Artefacts(directory=models, manifest=draft, digest="", files={NETWORK: network}))
    scorer.check()

    people = unseen_people(DEVELOPMENT, data)
    comparisons = list(compare(people, lambda trace: analyse(trace, scorer)))
    calibration = msgspec.json.format(msgspec.json.encode(fit(comparisons)), indent=1) + b"\n"
    (models / CALIBRATION).write_bytes(calibration)

    metrics: dict[str, Any] = {
        "protocol": f"{DEVELOPMENT}, first {REFERENCES} references, 5 folds by person (scripts/evaluate)",
        "penlatch": summary(calibrated_scores(comparisons, references=REFERENCES), threshold=0.5),
        "dtw": summary(dtw_scores(comparisons, references=REFERENCES)),
    }
    manifest = msgspec.structs.replace(draft, sha256=_digests(network, calibration), metrics=metrics)
    _write(models, manifest)
    metrics["enrolment"] = agreement(Verifier.load(models), people)
    manifest = msgspec.structs.replace(manifest, metrics=metrics)
    _write(models, manifest)
    return manifest


def _write(models: Path, manifest: Manifest) -> None:
    (models / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


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


def nearness(new: Path, shipped: Path) -> float:
    """Return the least cosine between the golden embeddings of two model folders."""
    tables = [
        np.array([v["converted"] for v in json.loads((m / GOLDEN_FILE).read_text(encoding="utf-8"))["vectors"]])
        for m in (new, shipped)
    ]
    return float((tables[0] * tables[1]).sum(axis=1).min())


def main() -> None:
    """Run from the command line; exit status 1 where the new network is not the shipped one, within `SAME`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder with the trained network")
    parser.add_argument("--shipped", type=Path, help="folder to compare it with")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    options = parser.parse_args()

    manifest = release(options.models, options.data)
    print(json.dumps(manifest.metrics, indent=1))
    if options.shipped:
        old = hashlib.sha256((options.shipped / NETWORK).read_bytes()).hexdigest()
        cosine = nearness(options.models, options.shipped)
        print(f"{NETWORK}: sha256 {old} shipped, {manifest.sha256[NETWORK]} now; least golden cosine {cosine:.6f}")
        if cosine < SAME:
            raise SystemExit(f"this is another network than the shipped one: cosine {cosine:.4f} < {SAME}")


if __name__ == "__main__":
    main()
