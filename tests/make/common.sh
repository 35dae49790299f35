# Sourced by every script in this folder, which are what the targets of the Makefile run: where things are, how to speak,
# how to install packages.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$ROOT/build
TOOLS=$BUILD/tools
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
MODULE=$BUILD/dualpath.wasm
cd "$ROOT"

say() { printf '==> %s\n' "$*" >&2; }
detail() { printf '    %s\n' "$*" >&2; }

# die LINE...: the first line says what is wrong, the others what to do about it.
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The command that gives root's rights without a question, or nothing; fails when there is none.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        :
    elif have sudo && sudo -n true 2>/dev/null; then
        echo "sudo -n"
    else
        return 1
    fi
}

# install_packages WHY PACKAGE...: Debian packages; fails (with a line that says so) where that cannot be done.
install_packages() {
    local why=$1 root
    shift
    if ! have apt-get; then
        detail "not a Debian-like system (no apt-get): cannot install $*"
        return 1
    fi
    if ! root=$(as_root); then
        detail "neither root nor passwordless sudo: cannot install $* ($why)"
        return 1
    fi
    say "installing Debian packages ($why): $*"
    # A package list may be missing or old; the update may fail for a reason that does not matter here.
    $root apt-get update -qq >&2 || detail "apt-get update failed; trying with the package list at hand"
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# locked NAME: the version of a crate in Cargo.lock.
locked() { awk -v name="$1" '$1 == "name" && $3 == "\"" name "\"" { getline; gsub(/"/, "", $3); print $3; exit }' Cargo.lock; }

# sha256 FILE: the checksum alone.
sha256() { if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# replace_if_changed NEW FILE: keeps the time stamp of an unchanged file, so that nothing is rebuilt for it.
replace_if_changed() {
    mkdir -p "$(dirname "$2")"
    if cmp -s "$1" "$2"; then return 1; fi
    cp "$1" "$2.new" && mv "$2.new" "$2"
}

# All native tests: one choice of packages, features and profile, so that nothing is compiled twice.
native() { tests/make/cargo test --locked --workspace --all-features "$@"; }
