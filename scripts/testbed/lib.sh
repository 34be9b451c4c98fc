# shellcheck shell=bash
# Shared helpers of the testbed scripts: where things go, where packages come
# from, and how to run a command inside the "tools" tree.  Sourced, never run.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Everything the scripts build lands below this folder (about 1 GB).
TB_CACHE=${TB_CACHE:-$PREROOT_CACHE/testbed}
# The suite that provides the tools and the guest system.
TB_SUITE=${TB_SUITE:-forky}
# The suites whose kernels the guest can be booted with.
TB_KERNELS=${TB_KERNELS:-$TB_SUITE trixie}
# shellcheck disable=SC2034 # used by the scripts that source this file
TB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TB_TOOLS=$TB_CACHE/tools-$TB_SUITE
mkdir -p "$TB_CACHE" || die "cannot make $TB_CACHE"
TB_CACHE=$(cd "$TB_CACHE" && pwd)
export TB_CACHE

if [ -z "${TB_KEYRING:-}" ]; then
    TB_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$TB_KEYRING" ] || TB_KEYRING=/usr/share/keyrings/debian-archive-keyring.pgp
fi

# tb_begin WHAT: before anything is built. One build at a time; what an
# interrupted one left behind goes.
tb_begin() {
    need_root "$1"
    need_proc
    if hold_lock "$TB_CACHE/lock"; then
        rm -rf --one-file-system "$TB_CACHE"/*.tmp
    fi
}

# The first Debian archive named by this machine's own apt configuration, so
# that a mirror or proxy set up by the administrator is used here as well.
tb_mirror() {
    if [ -n "${TB_MIRROR:-}" ]; then
        printf '%s\n' "$TB_MIRROR"
        return
    fi
    local uri codename
    # shellcheck disable=SC2016 # the names are apt's, not the shell's
    uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 2>/dev/null |
        awk '$2 == "Debian" && $3 !~ /security/ { sub("/$", "", $1); print $1; exit }')
    if [ -z "$uri" ]; then
        # No lists here yet: go by the name of the suite alone.
        codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        # shellcheck disable=SC2016
        uri=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
            awk -v suite="$codename" '$2 == suite { sub("/$", "", $1); print $1; exit }')
    fi
    [ -n "$uri" ] || die "no Debian archive in this machine's apt sources; TB_MIRROR names one"
    printf '%s\n' "$uri"
}

# A cached or lagging mirror may serve a Release file past its date.  The
# signatures are still checked; for a testbed that is enough.
TB_APT_OPTS=(-o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any
    -o APT::Sandbox::User=root)

# Where apt keeps what it knows of SUITE; TB_APT_ARCH names another architecture
# than this machine's.
tb_apt_state() {
    local arch=${TB_APT_ARCH:-}
    [ "$arch" != "$(dpkg --print-architecture)" ] || arch=''
    printf '%s\n' "$TB_CACHE/apt-$1${arch:+-$arch}"
}

# tb_lists SUITE: the package lists of SUITE, apart from the machine's own. They
# are fetched again when they are old, since the archive forgets the packages of
# yesterday's lists.
tb_lists() {
    local suite=$1 state mirror
    state=$(tb_apt_state "$1")
    [ -z "$(find "$state/updated" -mmin -720 2>/dev/null)" ] || return 0
    mirror=$(tb_mirror)
    say "apt: reading the lists of $suite"
    mkdir -p "$state/lists/partial" "$state/sources.d"
    printf 'deb [signed-by=%s] %s %s main\n' "$TB_KEYRING" "$mirror" "$suite" >"$state/sources.list"
    tb_apt_here "$suite" apt-get -qq update >"$state/log" 2>&1 ||
        die "cannot read the package lists of $suite from $mirror: $(tb_complaint "$state/log")"
    touch "$state/updated"
}

# tb_apt SUITE COMMAND...: apt-get/apt-cache against SUITE.
tb_apt() {
    tb_lists "$1"
    tb_apt_here "$@"
}

tb_apt_here() {
    local state cmd=$2
    state=$(tb_apt_state "$1")
    shift 2
    "$cmd" "${TB_APT_OPTS[@]}" ${TB_APT_ARCH:+-o "APT::Architecture=$TB_APT_ARCH" -o "APT::Architectures=$TB_APT_ARCH"} -o "Dir::Etc::SourceList=$state/sources.list" \
        -o "Dir::Etc::SourceParts=$state/sources.d" -o "Dir::State::Lists=$state/lists" "$@"
}

# tb_complaint LOG: the line of LOG that says best what went wrong.
tb_complaint() {
    grep -m1 'No space left' "$1" || grep -m1 -E '^[EW]: Failed to fetch' "$1" ||
        grep -m1 '^E: ' "$1" || grep . "$1" | tail -n1
}

# tb_bootstrap TARGET VARIANT PACKAGES [mmdebstrap options...]
tb_bootstrap() {
    local target=$1 variant=$2 include=$3 mirror
    shift 3
    command -v mmdebstrap >/dev/null || die "mmdebstrap is missing (scripts/install-tools installs it)"
    mirror=$(tb_mirror)
    tb_lists "$TB_SUITE" # says it in plainer words when the mirror cannot be reached
    mmdebstrap --mode=root --aptopt='Acquire::Check-Valid-Until "false"' \
        --aptopt='APT::Update::Error-Mode "any"' --variant="$variant" --include="$include" \
        --keyring="$TB_KEYRING" \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        "$@" "$TB_SUITE" "$target" "deb [signed-by=$TB_KEYRING] $mirror $TB_SUITE main" \
        </dev/null >"$TB_CACHE/bootstrap.log" 2>&1 ||
        die "cannot bootstrap $TB_SUITE from $mirror: $(tb_complaint "$TB_CACHE/bootstrap.log") (log: $TB_CACHE/bootstrap.log)"
}

# tb_tree NAME VARIANT PACKAGES: a bootstrapped tree in the cache, made unless
# it is there already with the same packages.
tb_tree() {
    local stamp
    stamp=$(digest "$TB_SUITE $2 $3")
    is_current "$TB_CACHE/$1" "$stamp" && return
    need_space "$TB_CACHE" 800 "$1"
    say "$1: bootstrapping $TB_SUITE"
    tb_bootstrap "$TB_CACHE/$1.tmp" "$2" "$3"
    finish "$TB_CACHE/$1.tmp" "$TB_CACHE/$1" "$stamp"
}

# in_tree TREE COMMAND...: run COMMAND chrooted into TREE, in a mount namespace
# of its own, with /proc, /dev, /sys, and the cache at /cache.
in_tree() {
    local tree=$1
    shift
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --propagation private sh -ec '
        tree=$1; cache=$2; shift 2
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        mount --rbind /sys "$tree/sys"
        mount -t tmpfs tmpfs "$tree/run"
        mkdir -p "$tree/cache"
        mount --bind "$cache" "$tree/cache"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            TMPDIR=/var/tmp SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1700000000}" \
            chroot "$tree" "$@"
    ' in_tree "$tree" "$TB_CACHE" "$@"
}

in_tools() { in_tree "$TB_TOOLS" "$@"; }

# tb_copy SOURCE TARGET: a folder of this repository as it belongs into the guest:
# root's, and readable, whoever made the clone and with whichever umask.
tb_copy() {
    mkdir -p "$2"
    tar -C "$1" --owner=0 --group=0 --mode=u=rwX,go=rX -c . | tar -C "$2" -x
}

# tb_env FILE KEY: a value from the .env file beside a disk image.
tb_env() { sed -n "s/^$2=//p" "$1" | sed 's/^"\(.*\)"$/\1/'; }

# tb_kernel SUITE: the release of a kernel, which is made if need be.
tb_kernel() {
    [ -e "$TB_CACHE/kernels/$1/release" ] || "$TB_DIR/make-kernel" "$1" >&2
    cat "$TB_CACHE/kernels/$1/release"
}

# tb_initramfs_tools: the tree with initramfs-tools, a peer, whose unmkinitramfs
# takes every image apart.
tb_initramfs_tools() {
    tb_tree tree-initramfs-tools apt initramfs-tools,udev,kmod,zstd,busybox,e2fsprogs,cpio
}
