#!/bin/sh
# headers.sh ROOT CC: every public header compiles alone, as C11 and (where there is a compiler) as C++, strictly; and
# the umbrella header names them all.
set -eu
root=$1 cc=$2 status=0
for header in "$root"/include/attend/*.h; do
    name=attend/$(basename "$header")
    grep -q "^#include <$name>" "$root/include/attend.h" || { echo "include/attend.h: does not include <$name>"; status=1; }
    echo "#include <$name>" | "$cc" -std=c11 -pedantic-errors -Wall -Wextra -Werror -Wshadow -Wconversion \
        -fsyntax-only -I "$root/include" -x c - || { echo "$name: not a C11 header by itself"; status=1; }
    command -v c++ > /dev/null || continue
    echo "#include <$name>" | c++ -std=c++11 -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I "$root/include" \
        -x c++ - || { echo "$name: not a C++ header by itself"; status=1; }
done
exit $status
