#!/bin/sh
# symbols.sh NM STATIC SHARED HEADERS: the library never prints, exits, aborts or reads the environment, exports att_*
# only, defines every function that a public header declares, and needs none that it lacks.
set -eu
nm=$1 static=$2 shared=$3 headers=$4 status=0
forbidden='printf|vprintf|puts|putchar|perror|stdout|stderr|stdin|exit|_exit|quick_exit|abort|getenv|secure_getenv|setlocale|system|signal|sigaction'
calls=$("$nm" -A -u "$static" | awk -v f="^($forbidden)\$" '$NF ~ f')
[ -z "$calls" ] || { echo "the library must not use:"; echo "$calls"; status=1; }
# A sanitizer adds names of its own, which begin with two underscores.
exports=$("$nm" -D --defined-only "$shared" | awk '$NF !~ /^(att_|__)/')
[ -z "$exports" ] || { echo "exported without the prefix att_:"; echo "$exports"; status=1; }
names=$(mktemp)
trap 'rm -f "$names"' EXIT
"$nm" -D --defined-only "$shared" | awk '{ print $NF }' > "$names"
# att_last_error( after ATT_API, perhaps on the next line; comments do not begin with it.
declared=$(cat "$headers"/*.h | awk '/^ATT_API/ { open = 1 } open && match($0, /att_[a-z0-9_]+\(/) {
    print substr($0, RSTART, RLENGTH - 1); open = 0 } /;/ { open = 0 }' | sort)
[ "$(echo "$declared" | wc -l)" -gt 50 ] || { echo "no declarations found in $headers"; status=1; }
lacking=$(echo "$declared" | grep -vxFf "$names" || :)
[ -z "$lacking" ] || { echo "declared in a public header, but not exported:"; echo "$lacking"; status=1; }
undefined=$("$nm" -D -u "$shared" | grep ' att_' || :)
[ -z "$undefined" ] || { echo "used but nowhere defined:"; echo "$undefined"; status=1; }
exit $status
