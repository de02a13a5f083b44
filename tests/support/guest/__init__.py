"""A Debian kernel in QEMU, without KVM and without an image, in which tests/kernel runs: drivers, devices, units.

The guest's root is the host's, read-only by 9p under an overlay in memory: the checkout, its virtual environment and
every program are where they are on the host. `image` makes what is booted, `machine` boots it, `forward` gives each of
the guest's tests a result on the host, `report` is the end of that in the guest.
"""
