#!/bin/sh
# layering.sh finds what it is there for: a small tree with one fault of each kind, and one without any.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/include/attend" "$tree/cli" "$tree/examples"
for room in base kernel kernel/ref op tape text plot train attic; do mkdir -p "$tree/src/$room"; done
put() { file=$tree/$1; shift; printf '%s\n' "$@" > "$file"; }

put include/attend/view.h '#include <attend/status.h>'
put src/base/base.h '#include <attend/view.h>' '#include <stdio.h>'
put src/base/parallel.c '#include <omp.h>' '#pragma omp parallel'
put src/kernel/ref/gemm.c '#include "kernel/ref/real.h"'
put src/op/dispatch_gemm.c '#include "kernel/ref/both.h"' '#include "op/gemm.h"'
put src/op/gemm.c '#include "kernel/tables.h"' '#include "op/dispatch.h"' '#include "kernel/ref/both.h"'
put src/train/loop.c '#include "text/corpus.h"' '#include "tape/tape.h"'
put cli/main.c '#include <attend/view.h>' '#include "common.h"'
"$here/layering.sh" "$tree" || { echo "a tree without faults was refused"; exit 1; }

put include/attend/view.h '' '#include "base/base.h"'
put src/base/view.c '#include "op/gemm.h"'
put src/base/alias.c '#include "view.h"'
put src/op/product.c '' '' '#  include "kernel/cpu/simd.h"'
put src/tape/tape.c '#include "kernel/tables.h"'
put src/text/lines.c '#include "train/loop.h"' '#include <omp.h>'
put src/text/threads.c '#pragma omp parallel for'
put src/text/words.c '/* TODO */'
put src/attic/old.c '#include "base/base.h"'
put cli/data.c '#include "text/synthetic.h"'
put examples/hello.c '#include "../src/base/base.h"'
awk 'BEGIN { for (i = 0; i < 601; i++) print "int x;" }' > "$tree/src/plot/long.c"
awk 'BEGIN { print "void f(void)\n{"; for (i = 0; i < 61; i++) print "    g();"; print "}" }' > "$tree/src/plot/function.c"
awk 'BEGIN { print "void f(void)\n{\n    /* reason */"; for (i = 0; i < 61; i++) print "    g();"; print "}" }' \
    > "$tree/src/plot/excused.c"

cat > "$tree/expected" << 'END'
cli/data.c:1
examples/hello.c:1
include/attend/view.h:2
src/attic/old.c:1
src/base/alias.c:1
src/base/view.c:1
src/op/product.c:3
src/plot/function.c:64
src/plot/long.c:601
src/tape/tape.c:1
src/text/lines.c:1
src/text/lines.c:2
src/text/threads.c:1
src/text/words.c:1
END
if "$here/layering.sh" "$tree" > "$tree/output"; then
    echo "a tree full of faults was accepted"
    exit 1
fi
cut -d: -f1,2 "$tree/output" | sort | diff "$tree/expected" - || { cat "$tree/output"; exit 1; }
