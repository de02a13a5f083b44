"""Agreement: is what was made again what was shipped, byte by byte, else how near it comes.

    python -m training.agreement MADE SHIPPED

On the same kind of processor, the bytes are the same. On another one rounding makes another network out of the same
training, and then people must be judged alike: both judge the same synthetic people, writers and forgers.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import CALIBRATION, MANIFEST, NETWORK
from penlatch.verify.verifier import Verifier
from training.metrics import eer

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE: Final = 0.02
"""Mean difference of P(genuine) between models made again on another kind of processor and the shipped ones."""
PEOPLE: Final = 20
FIRST_SEED: Final = 50_000
"""Of the people: no network was trained on them."""
REFERENCES: Final = 5
QUERIES: Final = 8
"""Of each kind, for each person."""


def judge(verifier: Verifier) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return P(genuine) of genuine signatures and of forgeries of synthetic people, [PEOPLE * QUERIES] each."""
    genuine, forged = [], []
    for number in range(PEOPLE):
        rng = np.random.default_rng((FIRST_SEED, number))
        writer, forger = Writer(FIRST_SEED + number), Writer(FIRST_SEED + PEOPLE + number)
        template = verifier.template([verifier.analyse(writer.genuine(rng)) for _ in range(REFERENCES)])
        for _ in range(QUERIES):
            genuine.append(verifier.verify(template, verifier.analyse(writer.genuine(rng))).probability)
            forged.append(verifier.verify(template, verifier.analyse(writer.forgery(rng, forger))).probability)
    return np.array(genuine), np.array(forged)


def compare(made: Path, shipped: Path) -> bool:
    """Tell how near one model folder is to another; False where they judge people differently."""
    for name in (NETWORK, CALIBRATION):
        digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (made, shipped)]
        print(
            f"{name}: {'the same' if digests[0] == digests[1] else 'another'}; now {digests[0]}, shipped {digests[1]}"
        )
    ours, theirs = (judge(Verifier.load(folder)) for folder in (made, shipped))
    apart = float(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))
    errors = [100 * eer(genuine, forged) for genuine, forged in (ours, theirs)]
    print(f"P(genuine) of {2 * PEOPLE * QUERIES} signatures of synthetic people: {apart:.4f} apart in the mean")
    print(f"EER on them: {errors[0]:.2f} % now, {errors[1]:.2f} % shipped")
    return apart <= TOLERANCE


def main() -> None:
    """Run from the command line; exit status 1 where models judge people differently from the shipped ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("made", type=Path, help="folder of models that were made again")
    parser.add_argument("shipped", type=Path, help="folder of models to compare them with")
    options = parser.parse_args()
    same = True
    for path in sorted(options.made.rglob(MANIFEST)):
        relative = path.parent.relative_to(options.made)
        print(f"--- {relative}")
        same &= compare(path.parent, options.shipped / relative)
    if not same:
        raise SystemExit(f"these do not judge as the shipped models do: more than {TOLERANCE} apart")


if __name__ == "__main__":
    main()
