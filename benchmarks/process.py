"""How a process that measures is set up, so that its figures depend on the work and not on its surroundings."""

from __future__ import annotations

import ctypes
import os


def pin() -> None:
    """One thread on the last core that this process may use; call it before a framework is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def keep_memory() -> None:
    """Have the GNU C library keep freed memory, so that no step maps its temporaries anew.

    By default it returns them or not according to what else lies in the process: here, a second model.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    for option, size in ((mmap_threshold, 2**25), (trim_threshold, 2**31 - 1), (top_pad, 2**26)):
        if not library.mallopt(option, size):
            message = f"the C library refused option {option} of mallopt"
            raise OSError(message)
