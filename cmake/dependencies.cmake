# Debian's packages; `./dev setup` installs them.
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(FREETYPE REQUIRED IMPORTED_TARGET freetype2)
pkg_check_modules(RAQM REQUIRED IMPORTED_TARGET raqm)
pkg_check_modules(FONTCONFIG REQUIRED IMPORTED_TARGET fontconfig)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
add_library(attend_dependencies INTERFACE)
target_link_libraries(attend_dependencies INTERFACE
  OpenMP::OpenMP_C PkgConfig::JANSSON PkgConfig::YAML PkgConfig::ZLIB PkgConfig::ZSTD PkgConfig::PNG
  PkgConfig::FREETYPE PkgConfig::RAQM PkgConfig::FONTCONFIG PkgConfig::UTF8PROC m)
