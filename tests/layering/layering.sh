#!/bin/sh
# layering.sh ROOT: every include crosses only the walls that docs/architecture.md opens, files and functions are short.
# Prints FILE:LINE and what is wrong there; exit status 1 when there was anything.
set -eu
cd "$1"

# Rooms and what each sees besides itself, the public headers and the system's. An op may fall back to the reference by
# name; the variants stand behind the table, and only op/dispatch*.c sees them.
walls='
base:
kernel: base
kernel/ref: base kernel
kernel/cpu: base kernel
kernel/cuda: base kernel
op: base kernel kernel/ref
op/dispatch: base kernel op kernel/ref kernel/cpu kernel/cuda
tape: base op
nn: base op tape
file: base
text: base file
plot: base file
model: base op tape nn file text
train: base op tape nn file text model
task: base op tape nn file text model train plot
serve: base op tape nn file text model train plot task
'

find src include cli examples python -name '*.[ch]' -o -name '*.cu' 2> /dev/null | sort | xargs awk -v walls="$walls" '
function bad(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; found = 1 }

# src/kernel/ref/gemm.c -> kernel/ref, src/op/dispatch_gemm.c -> op/dispatch, include/attend/view.h -> include
function room_of(path) {
    if (path ~ /^(cli|examples|include|python)(\/|\.)/) { sub(/[\/.].*/, "", path); return path }
    sub(/^src\//, "", path)
    if (path ~ /^op\/dispatch[^\/]*$/) return "op/dispatch"
    if (path ~ /^kernel\/[a-z]+\//) { match(path, /^kernel\/[a-z]+/); return substr(path, 1, RLENGTH) }
    sub(/\/.*/, "", path)
    return path
}

function check_include(quoted, name,    from, to) {
    from = room_of(FILENAME)
    if (!quoted) {
        if (name ~ /^omp\.h$/ && FILENAME != "src/base/parallel.c") bad("<omp.h>: threads start in base/parallel.c only")
        if (name ~ /^c?blas/ && from != "op/dispatch") bad("<" name ">: only op/dispatch sees the BLAS")
        return
    }
    if (from == "include") { bad("\"" name "\": a public header sees only public headers, as <attend/...>"); return }
    if (from == "cli" || from == "examples" || from == "python") {
        if (name ~ /\//) bad("\"" name "\": " from " sees only public headers and its own")
        return
    }
    if (name !~ /\//) { bad("\"" name "\": write the path from src/"); return }
    to = room_of("src/" name)
    if (to == "op/dispatch") to = "op"
    if (!(from in sees)) { bad("room " from " is not in the list of tests/layering/layering.sh"); return }
    if (index(sees[from], " " to " ") == 0) bad("\"" name "\": " from " does not see " to)
}

BEGIN {
    n = split(walls, line, "\n")
    for (i = 1; i <= n; i++) {
        if (split(line[i], part, ":") != 2) continue
        sees[part[1]] = " " part[1] " " part[2] " "
    }
}
FNR == 1 { open_line = 0 }
FNR == 601 { bad("more than 600 lines") }
/TODO|FIXME|XXX/ { bad("unfinished work belongs in an issue") }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    name = $0
    sub(/^[^<"]*/, "", name)
    quoted = substr(name, 1, 1) == "\""
    name = substr(name, 2)
    sub(/[>"].*/, "", name)
    check_include(quoted, name)
}
/^[ \t]*#[ \t]*pragma[ \t]+omp[ \t]+(parallel|for|task)/ && FILENAME != "src/base/parallel.c" {
    bad("threads start in base/parallel.c only")
}
/^\{/ { open_line = FNR; reason = 0 }
open_line && FNR == open_line + 1 && /^[ \t]*\/\*/ { reason = 1 }
/^\}/ {
    if (open_line && FNR - open_line > 61 && !reason) bad("a function of more than 60 lines opens with its reason")
    open_line = 0
}
END { exit found }
'
