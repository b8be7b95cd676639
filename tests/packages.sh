#!/bin/sh
# Installs the Debian packages that building and testing need, those that are missing.
# Knows: their names. Must not know: what they are used for in detail.
set -eu

packages="
    python3 python3-venv python3-dev gcc libc6-dev linux-libc-dev clang libclang-rt-dev
    iproute2 kmod util-linux debian-archive-keyring
    ipvsadm ipset iptables zsh
"

missing() {
    for package in "$@"; do
        status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null || true)
        [ "$status" = installed ] || echo "$package"
    done
}

install_missing() {
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo > /dev/null || {
            echo "Neither root nor sudo to install these Debian packages:" $wanted >&2
            exit 1
        }
        as_root=sudo
    fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted > /dev/null
}

command -v dpkg-query > /dev/null || {
    echo "This is no Debian system. Please install what corresponds to:" $packages >&2
    exit 0
}
# shellcheck disable=SC2086
install_missing $packages
