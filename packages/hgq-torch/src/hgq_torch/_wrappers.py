"""What stands around modules: compilers, averages of weights, replicas."""

from __future__ import annotations

from typing import cast

from torch import nn

__all__ = ["uncompiled", "unwrapped"]

# By name: `torch.nn.parallel.DistributedDataParallel` is not there in every build.
_WRAPPERS = ("AveragedModel", "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")


def uncompiled(module: nn.Module) -> nn.Module:
    """What `torch.compile` was given, or the module itself."""
    return cast("nn.Module", getattr(module, "_orig_mod", module))


def unwrapped(module: nn.Module) -> nn.Module:
    """What is inside of the wrappers of `torch.compile`, averages of weights, and replicas."""
    while True:
        inner = uncompiled(module)
        if type(inner).__name__ in _WRAPPERS and isinstance(getattr(inner, "module", None), nn.Module):
            inner = cast("nn.Module", inner.module)
        if inner is module:
            return module
        module = inner
