# shellcheck shell=bash
# What every script here starts with: where things are kept, how a script
# speaks, and the checks that turn a missing privilege, a full disk or a missing
# network into one line. Sourced, never run.

set -euo pipefail
umask 022

PREROOT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Downloads and everything made from them. Another place may be named, so that
# a fresh clone need not start cold.
PREROOT_CACHE=${PREROOT_CACHE:-$PREROOT_DIR/.cache}

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

mkdir -p "$PREROOT_CACHE" 2>/dev/null ||
    die "cannot make the cache folder $PREROOT_CACHE; PREROOT_CACHE names another place"
PREROOT_CACHE=$(cd "$PREROOT_CACHE" && pwd)
export PREROOT_CACHE

# need_root WHAT: WHAT cannot be done without privileges.
need_root() {
    [ "$(id -u)" = 0 ] || die "$1 needs root; run this as root"
}

# need_proc: chroots and mount namespaces are of no use without /proc.
need_proc() {
    [ -r /proc/self/mountinfo ] || die "/proc is not mounted; mount it first (mount -t proc proc /proc)"
}

# need_space DIR MIB WHAT: at least MIB free on the file system of DIR.
need_space() {
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$2" ] ||
        die "disk full: $3 needs $2 MB below $1, $free MB are free; PREROOT_CACHE names another place"
}

# hold_lock FILE: wait until no other run holds FILE, and hold it until this
# script ends. Scripts that this one calls share it; for them the answer is 1.
hold_lock() {
    case ":${PREROOT_LOCKS:-}:" in *":$1:"*) return 1 ;; esac
    exec {lock_fd}>"$1" || die "cannot write $1"
    if ! flock --nonblock "$lock_fd"; then
        say "waiting for another run ($1 is locked)"
        flock "$lock_fd"
    fi
    export PREROOT_LOCKS=${PREROOT_LOCKS:-}:$1
}

# digest INPUT...: one hash over files, folders (names, modes, links, content)
# and, for anything that is no path, the words themselves.
digest() {
    local input
    for input; do
        if [ -d "$input" ]; then
            (cd "$input" && find . -printf '%P %y %m %l\n' | LC_ALL=C sort &&
                find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
        elif [ -f "$input" ]; then
            sha256sum <"$input"
        else
            printf '%s\n' "$input"
        fi
    done | sha256sum | cut -d' ' -f1
}

# is_current PRODUCT DIGEST: PRODUCT was finished from inputs of that digest.
is_current() {
    [ -e "$1" ] && [ -e "$1.stamp" ] && [ "$(cat "$1.stamp")" = "$2" ]
}

# finish TEMPORARY PRODUCT DIGEST: put a complete product in place. Whoever
# interrupts the build before this leaves a file that nothing looks at.
finish() {
    rm -rf --one-file-system "$2.stamp" "$2"
    mv "$1" "$2"
    printf '%s\n' "$3" >"$2.stamp"
}

# The linter, run with the machine's Go and fetched as a Go module.
# shellcheck disable=SC2034 # the three are used by the scripts that source this file
{
    STATICCHECK_MODULE=honnef.co/go/tools/cmd/staticcheck
    STATICCHECK_VERSION=v0.8.2
    STATICCHECK=$PREROOT_CACHE/tools/staticcheck-$STATICCHECK_VERSION/staticcheck
}

# go_is_new GO: GO is at least the version that go.mod asks for.
go_is_new() {
    local have want
    have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    want=$(awk '$1 == "go" { print $2; exit }' "$PREROOT_DIR/go.mod")
    [ "$(printf '%s\n' "${have#go}" "$want" | sort -V | head -n1)" = "$want" ]
}

# first_of PROGRAM...: the path of the first one that is installed.
first_of() {
    local program
    for program; do
        command -v "$program" && return
    done
    return 1
}

# use_go: put a Go that is new enough on PATH: the machine's own, else the one
# that install-tools unpacked. With the latter Go's caches lie in ours, too.
use_go() {
    export GOTOOLCHAIN=local
    if command -v go >/dev/null && go_is_new go; then
        return 0
    fi
    [ -x "$PREROOT_CACHE/tools/go/bin/go" ] && go_is_new "$PREROOT_CACHE/tools/go/bin/go" || return 1
    GOROOT=$(cd -P "$PREROOT_CACHE/tools/go" && pwd)
    export GOROOT PATH="$GOROOT/bin:$PATH"
    export GOPATH="${GOPATH:-$PREROOT_CACHE/go}" GOCACHE="${GOCACHE:-$PREROOT_CACHE/go-build}"
}
