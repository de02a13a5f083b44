# Debian userlands of foreign processors, run by qemu-user; no root, no image, no second stage. Source it.
#
#   userland_needs                         notes (see apt.sh) what making and entering userlands takes
#   make_userland DIR SUITE ARCH PACKAGE…  leaves in DIR the files of Debian SUITE's PACKAGEs for ARCH and of all they
#                                          depend on; returns at once where DIR was made from the same arguments
#   in_userland DIR COMMAND…               runs COMMAND in DIR, the checkout at /checkout
#   exec_in_userland DIR COMMAND…          the same in the place of this shell: who ends it ends COMMAND
#
# The packages are unpacked and not configured: what a maintainer script would do (alternatives, users) is not there.
# A program of the other processor is found by binfmt_misc, registered in a user namespace of its own (Linux >= 6.7), so
# that nothing of the host changes; a handler that the host has already (with the flag F) does as well.

# shellcheck source=scripts/lib/apt.sh
source "${BASH_SOURCE[0]%/*}/apt.sh"

DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
_DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# How the kernel knows a program of a processor: the ELF header as magic and mask, after qemu's qemu-binfmt-conf.sh.
# The processor is that of a Raspberry Pi 4 or 2. Qemu's own choice signs pointers, in software: Debian 13 is 15 times slower.
declare -A _CPU_OF=([arm64]=cortex-a72 [armhf]=cortex-a7)
declare -A _QEMU_OF=([arm64]=qemu-aarch64-static [armhf]=qemu-arm-static)
_MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
declare -A _MAGIC_OF=(
    [arm64]='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    [armhf]='\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00'
)

userland_needs() {
    apt_need qemu-user-static "runs programs of ARM processors" command -v qemu-aarch64-static
    apt_need debian-archive-keyring "says which packages are Debian's" test -r "$_DEBIAN_KEYS"
    apt_need util-linux "unshare, which keeps the emulation to itself" command -v unshare
}

make_userland() {
    local dir=$1 suite=$2 arch=$3 made_of
    made_of="$*"
    if [[ -f $dir/made-of && $(<"$dir/made-of") == "$made_of" ]]; then
        say "$dir is up to date"
        return 0
    fi
    command -v apt-get >/dev/null || fail "apt-get is needed to fetch the packages of a userland"
    say "making $dir: Debian $suite for $arch"
    rm -rf -- "$dir"
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/apt/etc/preferences.d" "$dir/root"
    : >"$dir/apt/status"
    echo "deb [signed-by=$_DEBIAN_KEYS] $DEBIAN_MIRROR $suite main" >"$dir/apt/sources.list"
    _fetch "$PWD/$dir/apt" "$arch" "${@:4}" || fail "the packages of Debian $suite for $arch cannot be had from $DEBIAN_MIRROR"
    local folder package
    for folder in bin sbin lib; do
        mkdir -p "$dir/root/usr/$folder"
        ln -s "usr/$folder" "$dir/root/$folder"
    done
    for package in "$dir"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" |
            tar --extract --no-same-owner --keep-directory-symlink --exclude='./dev/*' --directory="$dir/root" ||
            fail "cannot unpack $package"
    done
    # What update-alternatives would choose, for Debian's numpy.
    local library
    for library in blas lapack; do
        for folder in "$dir"/root/usr/lib/*/"$library"; do
            [[ ! -d $folder ]] || ln -sf "$library/lib$library.so.3" "${folder%/*}/lib$library.so.3"
        done
    done
    mkdir -p "$dir/root/checkout" "$dir/root/opt"
    rm -rf -- "$dir/apt"
    printf '%s\n' "$made_of" >"$dir/made-of"
}

# An apt of its own, which neither reads nor touches the host's: its lists, its status, its cache are in $1.
_fetch() {
    local apt=$1 arch=$2
    shift 2
    local options=(
        -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false
        -o Dir::Etc="$apt/etc" -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status"
        -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives"
        -o Acquire::Languages=none -o APT::Sandbox::User="" -o Debug::NoLocking=1 -o Acquire::Retries=3
    )
    apt-get "${options[@]}" update >&2 && apt-get "${options[@]}" --yes --download-only install "$@" >&2
}

in_userland() {
    (exec_in_userland "$@")
}

exec_in_userland() {
    local dir=$1 arch
    shift
    arch=$(cut -d' ' -f3 "$dir/made-of")
    local qemu=${_QEMU_OF[$arch]} carried=("QEMU_CPU=${_CPU_OF[$arch]}") name
    # How pip reaches an index is for the caller to say; nothing else of the environment goes in.
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_DEFAULT_TIMEOUT http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [[ -z ${!name:-} ]] || carried+=("$name=${!name}")
    done
    exec unshare --user --map-root-user --mount --pid --fork --kill-child bash -c "$_ENTER" enter \
        "$dir/root" "$PWD" "$(command -v "$qemu")" ":$qemu:M::${_MAGIC_OF[$arch]}:$_MASK:$(command -v "$qemu"):FPC" \
        "${carried[@]}" "$@"
}

# Runs as root of a new user namespace. Without /sys: it describes the host's processors, and a runtime that looks there for
# those it runs on crashes. Exit status 125: the programs of the userland cannot be run here.
_ENTER='
set -euo pipefail
root=$1 checkout=$2 qemu=$3 handler=$4
shift 4
if mount -t binfmt_misc binfmt /proc/sys/fs/binfmt_misc 2>/dev/null; then
    echo "$handler" >/proc/sys/fs/binfmt_misc/register
elif ! "$root/usr/bin/true" 2>/dev/null; then
    echo "this kernel runs no program for ARM: it has no binfmt_misc of its own in a user namespace (Linux 6.7 has)," >&2
    echo "and no handler of the host: apt-get install qemu-user-static binfmt-support" >&2
    exit 125
fi
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$checkout" "$root/checkout"
mkdir -p "$root/etc/ssl/certs"
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    [[ ! -r $file ]] || cp --no-preserve=mode "$file" "$root$file"
done
exec chroot "$root" /usr/bin/env -i PATH=/opt/penlatch/bin:/usr/bin:/usr/sbin HOME=/tmp LANG=C.UTF-8 \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/checkout/build/arm/pip "$@"
'
