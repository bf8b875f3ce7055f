#!/bin/sh
# install.sh BUILD CMAKE CC: what `cmake --install` leaves is enough for a program of somebody else's, built with
# pkg-config, with CMake against the shared library, and with CMake against the static one.
set -eu
build=$1 cmake=$2 cc=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
"$cmake" --install "$build" --prefix "$prefix" > "$work/log"

pc=$(find "$prefix" -name attend.pc)
lib=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion attend)
# shellcheck disable=SC2046
"$cc" -o "$work/by-pkg-config" "$here/consumer.c" $(pkg-config --cflags --libs attend) "-Wl,-rpath,$lib"
"$work/by-pkg-config"

"$cmake" -S "$here" -B "$work/consumer" "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_C_COMPILER=$cc" > "$work/log" 2>&1 &&
    "$cmake" --build "$work/consumer" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/consumer/shared"
"$work/consumer/static"

"$prefix/bin/attend" version | grep -q "^attend $version "
[ -s "$prefix/share/man/man1/attend.1" ] && [ -s "$prefix/share/bash-completion/completions/attend" ]
