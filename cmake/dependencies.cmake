# Debian's packages; `./dev setup` installs them. An installed copy of this file serves find_package(attend COMPONENTS
# static), and the list of modules goes into attend.pc.
set(attend_modules jansson yaml-0.1 zlib libzstd liblzma libpng freetype2 raqm fontconfig libutf8proc)
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
pkg_check_modules(ATTEND_MODULES REQUIRED IMPORTED_TARGET ${attend_modules})
add_library(attend_dependencies INTERFACE)
target_link_libraries(attend_dependencies INTERFACE Threads::Threads PkgConfig::ATTEND_MODULES m)
