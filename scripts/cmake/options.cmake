# Compiler options every target shares, and the three ways a folder declares what
# it builds: spillway_library, spillway_program, spillway_test.

add_library(spillway_options INTERFACE)
target_include_directories(spillway_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(spillway_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND SPILLWAY_SANITIZE)
  # g++ 12 reports false uninitialised uses once sanitizers change inlining.
  target_compile_options(spillway_options INTERFACE -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105651: with -O3, "text" + std::string is reported as overlapping itself.
  target_compile_options(spillway_options INTERFACE $<$<CONFIG:Release>:-Wno-restrict>)
endif()
target_compile_definitions(spillway_options INTERFACE
  $<$<BOOL:${SPILLWAY_CHECKS}>:SPILLWAY_CHECKS=1>
  $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
if(SPILLWAY_SANITIZE STREQUAL "address")
  target_compile_options(spillway_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(spillway_options INTERFACE -fsanitize=address,undefined)
elseif(SPILLWAY_SANITIZE STREQUAL "thread")
  target_compile_options(spillway_options INTERFACE -fsanitize=thread)
  target_link_options(spillway_options INTERFACE -fsanitize=thread)
endif()
if(SPILLWAY_FUZZ)
  target_compile_options(spillway_options INTERFACE -fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=all)
  target_link_options(spillway_options INTERFACE -fsanitize=address,undefined)
endif()
if(SPILLWAY_TIDY)
  set(CMAKE_CXX_CLANG_TIDY clang-tidy-14 --quiet)
endif()
target_link_options(spillway_options INTERFACE -Wl,-z,relro,-z,now)

# The datapath is built without exceptions (STYLE: errors).
add_library(spillway_datapath_options INTERFACE)
target_link_libraries(spillway_datapath_options INTERFACE spillway_options)
target_compile_options(spillway_datapath_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)

# spillway_library(name SOURCES a.cc ... LIBS x y)          static library
function(spillway_library name)
  cmake_parse_arguments(A "DATAPATH" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  if(A_DATAPATH)
    target_link_libraries(${name} PRIVATE spillway_datapath_options)
  endif()
  target_link_libraries(${name} PUBLIC spillway_options ${A_LIBS})
endfunction()

# spillway_program(name SOURCES main.cc ... LIBS x y)        executable in build/<preset>/bin
function(spillway_program name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE spillway_options ${A_LIBS})
endfunction()

# spillway_test(name SOURCES a_test.cc ... LIBS x y [TIMEOUT s] [SERIAL])
# One GoogleTest program = one ctest entry. SERIAL: runs alone (real sockets,
# real processes, anything that suffers from a busy second core).
function(spillway_test name)
  cmake_parse_arguments(A "SERIAL" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE spillway_options ${A_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} SKIP_RETURN_CODE 77)
  if(A_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# Adds every direct sub-folder that has a CMakeLists.txt, in the order given first.
function(spillway_subdirectories)
  foreach(d ${ARGN})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${d}/CMakeLists.txt)
      add_subdirectory(${d})
    endif()
  endforeach()
endfunction()
