#!/bin/busybox sh
# The guest's first program: modules, the host's root under an overlay, then what `boot` wrote.
export PATH=/bin
mount() { /bin/busybox mount "$@"; }
mkdir() { /bin/busybox mkdir "$@"; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module.ko"; done </modules/order

mkdir -p /host /over /root
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
mount -t tmpfs over /over
mkdir /over/upper /over/work
# Files that the host does not have: a penlatch that is installed. Only some machines bring them.
below=/host
mkdir -p /layer
if mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 layer /layer 2>/dev/null; then
    below=/layer:/host
fi
mount -t overlay -o lowerdir=$below,upperdir=/over/upper,workdir=/over/work overlay /root
for place in proc sys dev; do mount --move "/$place" "/root/$place"; done
mkdir -p /root/dev/pts /root/dev/shm /root/out
mount -t devpts devpts /root/dev/pts
mount -t tmpfs shm /root/dev/shm
# What the host keeps there (sockets, locks) is nothing to a guest; the checkout may lie below /tmp, the host's stays.
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/lock
mount -t 9p -o rw,trans=virtio,version=9p2000.L,msize=512000 out /root/out
/bin/busybox ip link set lo up 2>/dev/null || /bin/busybox ifconfig lo up

exec /bin/busybox switch_root /root /bin/sh /out/run.sh
