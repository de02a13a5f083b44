"""USB tablets made of bytes: the kernel's own USB core and HID drivers take them for hardware.

`hid` writes report descriptors and the reports they describe, `device` answers the requests that a USB host asks of a
device, `vhci` plugs such a device into the kernel's virtual host controller, and `tablets` are those that integrators
buy. It needs root and the module vhci_hcd, so all of it runs in the guest of scripts/kernel-lab.
"""
