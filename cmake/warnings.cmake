# How every source of the project is compiled: strict, and with arithmetic that means what it says (no -ffast-math, no
# contraction behind our back: a fused multiply-add is written where it is wanted). A field that an initialiser
# leaves out is zero, and zero means default.
add_library(attend_flags INTERFACE)
target_compile_options(attend_flags INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
target_compile_definitions(attend_flags INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
if(ATTEND_WERROR)
  target_compile_options(attend_flags INTERFACE -Werror)
endif()
if(ATTEND_SANITIZE)
  target_compile_options(attend_flags INTERFACE -fsanitize=${ATTEND_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(attend_flags INTERFACE -fsanitize=${ATTEND_SANITIZE})
endif()
