# Compiler flags of the house: strict warnings, hardening, and floating point that means the same
# thing under gcc and clang. Every target links ryz_flags.
option(RYZ_WERROR "Treat warnings as errors" ON)
set(RYZ_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined or thread")

# A list of two sanitizers has a comma, which no generator expression may hold.
set(ryz_sanitized 0)
if(RYZ_SANITIZE)
  set(ryz_sanitized 1)
endif()

add_library(ryz_flags INTERFACE)
target_compile_features(ryz_flags INTERFACE c_std_11)
target_compile_options(ryz_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wcast-qual -Wvla -Wundef -Wformat=2 -Wno-sign-conversion
  # Contraction would let each compiler choose where to fuse; bits must not depend on it.
  -ffp-contract=off
  -fno-strict-aliasing
  -fstack-protector-strong -fPIE
  $<$<C_COMPILER_ID:GNU>:-fstack-clash-protection -fcf-protection>
  $<$<BOOL:${RYZ_WERROR}>:-Werror>)
target_compile_definitions(ryz_flags INTERFACE _GNU_SOURCE
  $<$<AND:$<NOT:$<CONFIG:Debug>>,$<NOT:$<BOOL:${ryz_sanitized}>>>:_FORTIFY_SOURCE=2>)
target_link_options(ryz_flags INTERFACE -Wl,-z,relro,-z,now -pie)
if(RYZ_SANITIZE)
  target_compile_options(ryz_flags INTERFACE -fsanitize=${RYZ_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all -g)
  target_link_options(ryz_flags INTERFACE -fsanitize=${RYZ_SANITIZE})
endif()

# ryz_library(NAME SOURCES... ): one room of the house as a static library. Includes are spelled
# from the repository root, so an include line shows which room it reaches into.
function(ryz_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE ryz_flags ${ARG_PRIVATE_DEPENDS})
endfunction()

# ryz_test(NAME LABEL SOURCES... DEPENDS...): one Criterion suite, run by ctest under its label.
function(ryz_test name)
  cmake_parse_arguments(ARG "PLAIN" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ryz_flags ${ARG_DEPENDS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/tests)
  target_compile_definitions(${name} PRIVATE RYZ_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(NOT ARG_PLAIN)
    # Criterion's macros define the test functions without prototypes.
    target_link_libraries(${name} PRIVATE PkgConfig::CRITERION)
    target_compile_options(${name} PRIVATE -Wno-missing-prototypes -Wno-pedantic -Wno-cast-qual)
    add_test(NAME ${name} COMMAND ${name} --jobs 1 WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  else()
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT 300 SKIP_RETURN_CODE 77)
endfunction()
