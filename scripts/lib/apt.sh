# Debian packages a script cannot do without: named with their reason, installed where that is allowed. Source it.
#
#   apt_need PACKAGE REASON TEST…   notes PACKAGE as missing unless the command TEST… succeeds
#   apt_install                     installs all that was noted, as root or through a sudo that asks nothing;
#                                   else prints what is missing, why, and the command to type, and ends the script
#   can_be_root                     succeeds for root and where sudo needs no password
#   as_root COMMAND…                runs COMMAND as root; call it only where can_be_root succeeds
#
# A package that brings a service of its own (mosquitto) is installed without that service being started or enabled:
# the tests and the demo start their own brokers. Where the package was there before, its service is left alone.

# shellcheck source=scripts/lib/say.sh
source "${BASH_SOURCE[0]%/*}/say.sh"

# Programs of Debian that an ordinary user's PATH does not reach, such as mosquitto.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

declare -a _APT_MISSING=() _APT_REASONS=()

apt_need() {
    local package=$1 reason=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        _APT_MISSING+=("$package")
        _APT_REASONS+=("$reason")
    fi
}

can_be_root() {
    [[ $EUID -eq 0 ]] || sudo -n true 2>/dev/null
}

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
    [[ ${#_APT_MISSING[@]} -gt 0 ]] || return 0
    if ! command -v apt-get >/dev/null || ! can_be_root; then
        {
            echo "$SCRIPT_NAME: these Debian packages are missing, and installing them takes root:"
            local i
            for i in "${!_APT_MISSING[@]}"; do
                printf '    %-18s %s\n' "${_APT_MISSING[i]}" "${_APT_REASONS[i]}"
            done
            echo "Install them with:"
            echo "    sudo apt-get install --no-install-recommends ${_APT_MISSING[*]}"
        } >&2
        exit 1
    fi
    say "installing with apt: ${_APT_MISSING[*]}"
    as_root bash -euo pipefail -c "$_APT_SCRIPT" apt "${_APT_MISSING[@]}" >&2 ||
        fail "apt could not install ${_APT_MISSING[*]}; its own message is above"
    _APT_MISSING=() _APT_REASONS=()
}

# Runs as root. policy-rc.d is how Debian asks whether a package may start its service; an existing one is respected.
_APT_SCRIPT='
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
quiet=""
case " $* " in *" mosquitto "*) quiet=mosquitto ;; esac
if [[ $quiet && ! -e $policy ]]; then
    trap "rm -f $policy" EXIT
    printf "%s\n" "#!/bin/sh" "case \$1 in $quiet | $quiet.service) exit 101 ;; esac" "exit 0" >$policy
    chmod 755 $policy
fi
# Old lists are no reason to stop: the packages may be in the cache, and apt says so if they are not.
apt-get update -q || true
apt-get install -q -y --no-install-recommends "$@"
if [[ $quiet ]]; then
    if command -v systemctl >/dev/null; then systemctl disable --quiet $quiet.service || true
    elif command -v update-rc.d >/dev/null; then update-rc.d $quiet disable || true
    fi
fi
'
