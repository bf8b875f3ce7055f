#!/usr/bin/env bash
# completion.sh ATTEND: the completion script loads and offers commands, their operands, options and choices.
set -eu
attend=$1
compopt() { :; }    # outside of a real completion the builtin refuses
eval "$("$attend" completion bash)"
status=0

# offers WORD... -- EXPECTED...: completing the last WORD offers at least EXPECTED
offers() {
    COMP_WORDS=()
    while [ "$1" != -- ]; do COMP_WORDS+=("$1"); shift; done
    shift
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _attend || :
    for want in "$@"; do
        case " ${COMPREPLY[*]-} " in
        *" $want "*) ;;
        *) echo "'${COMP_WORDS[*]}' offers '${COMPREPLY[*]-}', expected '$want' among them"; status=1 ;;
        esac
    done
}

offers attend '' -- help version completion
offers attend vers -- version
offers attend version '' -- --json --help
offers attend version --j -- --json
offers attend completion '' -- bash
offers attend help '' -- version help

COMP_WORDS=(attend zzz) COMP_CWORD=1 COMPREPLY=()
_attend || :
[ ${#COMPREPLY[@]} = 0 ] || { echo "'zzz' offers '${COMPREPLY[*]}'"; status=1; }
exit $status
