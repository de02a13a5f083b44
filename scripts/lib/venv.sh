# Virtual environments of the checkout: made once, reused while nothing they depend on has changed. Source it.
#
#   find_python                       prints the first Python >= 3.11 on PATH; ends the script with a remedy if none
#   need_python_packages PYTHON       notes (see apt.sh) what PYTHON lacks to make a venv and to build C extensions
#   make_venv DIR PYTHON ARGUMENT…    leaves a venv in DIR in which `pip install ARGUMENT…` has been done; returns at
#                                     once where DIR was made from the same arguments, pyproject.toml and Python
#
# pip is run as the caller's environment and pip configuration say (PIP_*, proxies, certificates): nothing is added.
# make_venv must be called from the root of the checkout: ARGUMENT may be `-e .`.

# shellcheck source=scripts/lib/apt.sh
source "${BASH_SOURCE[0]%/*}/apt.sh"

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

make_venv() {
    local dir=$1 python=$2 stamp made_of lock
    shift 2
    stamp=$dir/penlatch-stamp
    made_of=$(printf '%s\n' "$("$python" -VV)" "$*" "$(sha256sum pyproject.toml)")
    # Two scripts at once share the venv: the second waits until the first has made it.
    exec {lock}<.
    flock "$lock"
    if _venv_fits "$dir" "$python" && [[ -f $stamp && $(<"$stamp") == "$made_of" ]]; then
        say "$dir is up to date"
    else
        say "making $dir: pip install $*"
        rm -f -- "$stamp"
        if ! _venv_fits "$dir" "$python"; then
            "$python" -m venv --clear "$dir" || fail "$python cannot make the virtual environment $dir"
        fi
        "$dir/bin/python" -m pip install --quiet "$@" >&2 || fail "pip could not install into $dir; see above"
        printf '%s\n' "$made_of" >"$stamp"
    fi
    exec {lock}<&-
}
