#!/bin/sh
# mechanisms.sh ROOT: every row of docs/mechanisms.md names tests, and every test that it names exists.
set -eu
cd "$1"
status=0 named=0
fail() { echo "docs/mechanisms.md: $1"; status=1; }

# `op.mechanism:general` is the word general in tests/op/test_mechanism.c, `python.test_x:y` in tests/python/test_x.py.
for test in $(grep -o '`[a-z_]*\.[a-z_]*:[a-z_0-9]*`' docs/mechanisms.md | tr -d '`' | sort -u); do
    program=${test%%:*} case=${test#*:} room=${test%%.*}
    file=tests/$room/test_${program#*.}.c
    [ "$room" = python ] && file=tests/python/${program#*.}.py
    [ -f "$file" ] || { fail "$test: no $file"; continue; }
    grep -qw -- "$case" "$file" || fail "$test: $file has no $case"
    named=$((named + 1))
done
[ "$named" -gt 60 ] || fail "$named tests are named, expected more than 60"

# Rows of the tables whose heading ends with "tests".
lacking=$(awk -F'|' '
    /^\| [a-z]/ && !inside { inside = 1; tests = $(NF - 1) ~ /tests/; next }
    /^\| ---/ { next }
    !/^\|/ { inside = 0 }
    inside && tests && $(NF - 1) !~ /`[a-z_]+\.[a-z_]+:[a-z_0-9]+`/ { print $2 }' docs/mechanisms.md)
[ -z "$lacking" ] || fail "no test is named for $lacking"
exit $status
