#!/bin/sh
# symbols.sh NM STATIC SHARED: the library never prints, exits, aborts or reads the environment, and exports att_* only.
set -eu
nm=$1 static=$2 shared=$3 status=0
forbidden='printf|vprintf|puts|putchar|perror|stdout|stderr|stdin|exit|_exit|quick_exit|abort|getenv|secure_getenv|setlocale|system|signal|sigaction'
calls=$("$nm" -A -u "$static" | awk -v f="^($forbidden)\$" '$NF ~ f')
[ -z "$calls" ] || { echo "the library must not use:"; echo "$calls"; status=1; }
# A sanitizer adds names of its own, which begin with two underscores.
exports=$("$nm" -D --defined-only "$shared" | awk '$NF !~ /^(att_|__)/')
[ -z "$exports" ] || { echo "exported without the prefix att_:"; echo "$exports"; status=1; }
"$nm" -D --defined-only "$shared" | grep -q ' att_last_error$' || { echo "att_last_error is not exported"; status=1; }
exit $status
