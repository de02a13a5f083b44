# Virtual environments of the checkout: made once, reused while nothing they depend on has changed. Source it.
#
#   find_python                       prints the first Python >= 3.11 on PATH; ends the script with a remedy if none
#   need_python_packages PYTHON       notes (see apt.sh) what PYTHON lacks to make a venv and to build C extensions
#   make_venv DIR PYTHON PURPOSE      leaves a venv in DIR with the packages of scripts/requirements/PURPOSE-*.txt and, but
#                                     for `litert`, the checkout itself; returns at once if DIR was made from the same
#                                     locks, pyproject.toml and Python
#   make_unlocked_venv DIR PYTHON ARGUMENT…  the same by `pip install ARGUMENT…`, with the newest releases
#   install_locked PYTHON PURPOSE     installs the packages of a purpose into the venv of PYTHON, checked by hash
#
# pip is run as the caller's environment and pip configuration say (PIP_*, proxies, certificates): nothing is added.
# make_venv must be called from the root of the checkout. scripts/lock renews the locks.

# shellcheck source=scripts/lib/apt.sh
source "${BASH_SOURCE[0]%/*}/apt.sh"

LOCKS=scripts/requirements
LOCKED_PYTHONS=(3.11 3.12 3.13)

_python_is_new_enough() {
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name seen=""
    for name in python3 python3.{11..19}; do
        command -v "$name" >/dev/null || continue
        if _python_is_new_enough "$name"; then
            command -v "$name"
            return 0
        fi
        seen=" (found $(command -v "$name"), $("$name" --version 2>&1 || true))"
    done
    fail "Python 3.11 or later is needed$seen. Debian 12 and Ubuntu 24.04 have it: apt-get install python3 python3-venv"
}

need_python_packages() {
    local python=$1 package=python3
    # A Debian Python beside the default one has packages named after its version.
    if [[ $(basename -- "$python") != python3 ]]; then package=$(basename -- "$python"); fi
    apt_need "$package-venv" "makes virtual environments" "$python" -c 'import ensurepip, venv'
    apt_need "$package-dev" "Python.h, from which evdev is built" "$python" -c \
        'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
    apt_need gcc "builds evdev, which has no binary wheels" command -v gcc
    apt_need libc6-dev "C headers, from which evdev is built" test -e /usr/include/stdio.h
    apt_need linux-libc-dev "linux/input.h, from which evdev is built" test -e /usr/include/linux/input.h
}

# The venv $1 was made here, not copied or moved (its programs name their Python by absolute path), and by $2.
_venv_fits() {
    local dir=$1 python=$2
    [[ -x $dir/bin/python && -f $dir/bin/pip ]] && grep -qF "$PWD/$dir" "$dir/bin/activate" &&
        [[ $("$dir/bin/python" -VV 2>&1) == "$("$python" -VV)" ]]
}

# The Pythons that purpose $1 is locked for.
_pythons_of() {
    local found
    for found in "$LOCKS/$1"-*.txt; do sed 's/.*-\([0-9.]*\)\.txt$/\1/' <<<"$found"; done | sort -V | tr '\n' ' ' | sed 's/ $//'
}

# The lock of purpose $2 for the Python $1; ends the script with a remedy if there is none.
_lock_of() {
    local version lock
    version=$("$1" -VV | sed -n 's/^Python \([0-9]*\.[0-9]*\).*/\1/p')
    lock=$LOCKS/$2-$version.txt
    [[ -f $lock ]] || fail "there is no $lock: $2 is locked for Python $(_pythons_of "$2")." \
        "Install that Python, or add $version to LOCKED_PYTHONS in scripts/lib/venv.sh and run scripts/lock"
    printf '%s\n' "$lock"
}

install_locked() {
    local python=$1 build lock
    build=$(_lock_of "$python" build) || exit 1
    lock=$(_lock_of "$python" "$2") || exit 1
    # evdev has no wheels. pip would fetch its build backend without a hash: the locked one takes its place.
    "$python" -m pip install --quiet --require-hashes -r "$build" >&2 &&
        "$python" -m pip install --quiet --require-hashes --no-build-isolation -r "$lock" >&2
}

# Makes the venv $1 of the Python $2 by the command that follows $3, unless it was made from the same $3.
_make_venv() {
    local dir=$1 python=$2 stamp=$1/penlatch-stamp made_of lock
    made_of=$(printf '%s\n' "$("$python" -VV)" "$3" "$(sha256sum pyproject.toml)")
    shift 3
    # Two scripts at once share the venv: the second waits until the first has made it.
    exec {lock}<.
    flock "$lock"
    if _venv_fits "$dir" "$python" && [[ -f $stamp && $(<"$stamp") == "$made_of" ]]; then
        say "$dir is up to date"
    else
        say "making $dir"
        rm -f -- "$stamp"
        if ! _venv_fits "$dir" "$python"; then
            "$python" -m venv --clear "$dir" || fail "$python cannot make the virtual environment $dir"
        fi
        "$@" || fail "pip could not install into $dir; see above"
        printf '%s\n' "$made_of" >"$stamp"
    fi
    exec {lock}<&-
}

# What make_venv does to a venv: the locked packages, then the checkout, whose dependencies they are.
_install_purpose() {
    install_locked "$1/bin/python" "$2" || return 1
    [[ $2 != litert ]] || return 0
    "$1/bin/python" -m pip install --quiet --no-deps --no-build-isolation -e . >&2
}

make_venv() {
    local build lock
    build=$(_lock_of "$2" build) || exit 1
    lock=$(_lock_of "$2" "$3") || exit 1
    _make_venv "$1" "$2" "$(sha256sum "$build" "$lock")" _install_purpose "$1" "$3"
}

make_unlocked_venv() {
    local dir=$1 python=$2
    shift 2
    _make_venv "$dir" "$python" "$*" "$dir/bin/python" -m pip install --quiet "$@" >&2
}
