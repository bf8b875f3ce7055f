# What `cmake --install` leaves: the command with its manual page and completion, the libraries, the headers, attend.pc
# for pkg-config, and a package for find_package(attend): target attend::attend, and attend::static on request.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/attend)

install(TARGETS attend attend_static EXPORT attend-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS attend_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set_target_properties(attend_static PROPERTIES EXPORT_NAME static)
install(EXPORT attend-targets NAMESPACE attend:: DESTINATION ${package_dir})

configure_package_config_file(cmake/attend-config.cmake.in attend-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(attend-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/attend-config.cmake ${PROJECT_BINARY_DIR}/attend-config-version.cmake
  cmake/dependencies.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REPLACE ";" " " pc_modules "${attend_modules}")
configure_file(cmake/attend.pc.in attend.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/attend.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The command writes its own manual page and completion, so they cannot lag behind it.
foreach(pair "attend.1;help;--man" "attend.bash;completion;bash")
  list(GET pair 0 file)
  list(SUBLIST pair 1 2 arguments)
  add_custom_command(OUTPUT ${file} COMMAND attend_cli ${arguments} > ${file} DEPENDS attend_cli VERBATIM)
endforeach()
add_custom_target(attend_manual ALL DEPENDS attend.1 attend.bash)
install(FILES ${PROJECT_BINARY_DIR}/attend.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_BINARY_DIR}/attend.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME attend)
