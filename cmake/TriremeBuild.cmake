# Compiler settings and the two functions every module uses.
#
#   trireme_module(NAME [DEPS lib...] [PRIVATE_DEPS lib...] [SOURCES extra...])
#     builds src/NAME/**/*.cc (tests aside) as the static library trireme_NAME,
#     and src/NAME/**/*_test.cc as the gtest program NAME_test; *_root_test.cc, which need root, as NAME_root_test.
#   trireme_test(TARGET SOURCES file... [DEPS lib...] [LABELS label...])
#     a gtest program of its own, for the suites under test/.

option(TRIREME_TESTS "Build the tests" ON)
set(TRIREME_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # base_dir makes the results shareable between build folders of one checkout.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${CMAKE_SOURCE_DIR};CCACHE_NOHASHDIR=1;${CCACHE_PROGRAM}")
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12 and 13 inside libstdc++'s own headers at -O2.
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds
                      -Wno-dangling-pointer -Wno-free-nonheap-object)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    # New in 13, and wrong about functions that return a reference into one of several arguments.
    add_compile_options(-Wno-dangling-reference)
  endif()
endif()
if(TRIREME_SANITIZE)
  add_compile_options(-fsanitize=${TRIREME_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TRIREME_SANITIZE})
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)

if(TRIREME_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

function(trireme_test target)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT TRIREME_TESTS)
    return()
  endif()
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

function(trireme_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;PRIVATE_DEPS;SOURCES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(root_tests ${tests})
  list(FILTER root_tests INCLUDE REGEX "_root_test\\.cc$")
  list(FILTER tests EXCLUDE REGEX "_root_test\\.cc$")
  add_library(trireme_${name} STATIC ${sources} ${ARG_SOURCES})
  target_include_directories(trireme_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(trireme_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(tests)
    trireme_test(${name}_test SOURCES ${tests} DEPS trireme_${name} ${ARG_PRIVATE_DEPS} LABELS unit)
  endif()
  if(root_tests)
    trireme_test(${name}_root_test SOURCES ${root_tests} DEPS trireme_${name} trireme_test_support ${ARG_PRIVATE_DEPS}
      LABELS root)
  endif()
endfunction()
