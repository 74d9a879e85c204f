# CUDA module: RYZ_CUDA = AUTO builds it where a toolkit is found, ON insists, OFF skips it. The
# rest of the project neither includes CUDA's headers nor links its libraries.
set(RYZ_CUDA "AUTO" CACHE STRING "CUDA module: AUTO, ON or OFF")
set_property(CACHE RYZ_CUDA PROPERTY STRINGS AUTO ON OFF)

# Says why there is no module; an error if one was demanded.
function(ryz_cuda_absent reason)
  if(RYZ_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA module: not built, ${reason}")
  else()
    message(FATAL_ERROR "RYZ_CUDA=${RYZ_CUDA}, but ${reason}")
  endif()
endfunction()

macro(ryz_cuda_enable)
  # Toolkits are often installed without being on the PATH.
  find_program(RYZ_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME
               PATHS /usr/local/cuda /opt/cuda PATH_SUFFIXES bin)
  mark_as_advanced(RYZ_NVCC)
  if(NOT RYZ_NVCC)
    ryz_cuda_absent("no CUDA compiler (nvcc) was found")
  else()
    if(NOT DEFINED ENV{CUDACXX})
      set(ENV{CUDACXX} ${RYZ_NVCC}) # not CMAKE_CUDA_COMPILER: the check below would be skipped
    endif()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      # Turing to Hopper, with PTX of the last for what comes after; CUDA 13 knows nothing older.
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
    endif()
    include(CheckLanguage)
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
      ryz_cuda_absent("${RYZ_NVCC} does not work with this host compiler")
    else()
      ryz_cuda_add()
    endif()
  endif()
endmacro()

macro(ryz_cuda_add)
  enable_language(CUDA)
  find_package(CUDAToolkit QUIET)
  if(NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cudart)
    ryz_cuda_absent("the toolkit of ${CMAKE_CUDA_COMPILER} has no cuBLAS")
  else()
    find_path(RYZ_NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
    find_library(RYZ_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR}
                 ${CUDAToolkit_LIBRARY_ROOT}/lib ${CUDAToolkit_LIBRARY_ROOT}/lib64)
    mark_as_advanced(RYZ_NCCL_INCLUDE_DIR RYZ_NCCL_LIBRARY)
    set(nccl "without NCCL (not found)")
    if(RYZ_NCCL_INCLUDE_DIR AND RYZ_NCCL_LIBRARY)
      set(nccl "with NCCL")
    endif()
    message(STATUS "CUDA module: built by CUDA ${CUDAToolkit_VERSION} ${nccl}")
    add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/../kernels/cuda ${CMAKE_BINARY_DIR}/kernels/cuda)
  endif()
endmacro()

if(RYZ_CUDA STREQUAL "OFF")
  message(STATUS "CUDA module: switched off")
else()
  ryz_cuda_enable()
endif()
