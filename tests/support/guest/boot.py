"""What the guest runs once its root stands: the tests at once, or systemd and the tests as a unit of it.

The tests run with the host's interpreter. Whoever is PID 1, the guest is off when they have ended.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIRST: Final = "run.sh"
"""What the init of `image` starts, in the folder that guest and host share (`/out` in the guest)."""
REPORTS: Final = "reports.jsonl"
"""What each test came to; see `report`."""
KNOWN: Final = "known"
"""The states of terminals that know somebody; see `known`."""

_PLUGINS: Final = (
    *("-p", "no:cacheprovider", "-p", "support.guest.report"),
    # At the end it imports all of hypothesis, and pytest rewrites that: a quarter of a minute in a guest.
    *("-p", "no:hypothesispytest"),
)

_ENVIRONMENT: Final = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run LANG=C.UTF-8
"""

_SYSTEMD: Final = """\
# systemd would believe to be in a container, and mount what the host mounts.
rm -f /.dockerenv /etc/fstab
# What scripts/install leaves to the first boot of a board.
systemd-sysusers penlatch.conf
systemd-tmpfiles --create penlatch.conf
mkdir -p /run/systemd/system
# The host's own: half a minute for emptying its /tmp, and what wants a network.
for unit in systemd-tmpfiles-setup systemd-timesyncd systemd-update-utmp; do
    ln -s /dev/null /run/systemd/system/$unit.service
done
cat >/run/systemd/system/tests.service <<'UNIT'
[Unit]
Description=tests/kernel
[Service]
Type=oneshot
ExecStart=/bin/sh /out/tests.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
UNIT
# Nothing else of what the host has enabled.
cat >/run/systemd/system/tests.target <<'UNIT'
[Unit]
Requires=sysinit.target
Wants=tests.service
After=sysinit.target
UNIT
exec /lib/systemd/systemd --unit=tests.target --show-status=false
"""


def write(out: Path, checkout: Path, nodes: Sequence[str], *, under_systemd: bool) -> None:
    """Write the guest's programs into `out`, the folder that it shares with the host."""
    pytest = [sys.executable, "-m", "pytest", *_PLUGINS, "-q", *nodes]
    tests = f"""
{_ENVIRONMENT}
export PENLATCH_GUEST=/out/{REPORTS} PYTHONDONTWRITEBYTECODE=1
rm -f /.dockerenv
cd {shlex.quote(str(checkout))}
{shlex.join(pytest)}
sync
echo b >/proc/sysrq-trigger
sleep 60
"""
    if under_systemd:
        (out / "tests.sh").write_text(tests)
        (out / FIRST).write_text(_ENVIRONMENT + _SYSTEMD)
    else:
        (out / FIRST).write_text(tests)
