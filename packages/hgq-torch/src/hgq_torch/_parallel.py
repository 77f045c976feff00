"""Training on several replicas: the range that WRAP follows is the range of all of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core.errors import ConfigError
from hgq_torch._lazy import check_begun
from hgq_torch._quantizer import Quantizer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["synchronize"]


def synchronize(model: nn.Module, process_group: Any = None) -> None:
    """From now on, take the extremes of data under WRAP as the maximum over the replicas of a process group.

    `torch.nn.parallel.DistributedDataParallel` averages gradients, and so the trained widths; the integer bits that
    follow the data are buffers, and its default is to copy those of the first replica. With this call every replica
    stores the same, what one process with the whole batch would store. One small all-reduce per quantizer and step.

    Args:
        model: the module, before or after it is wrapped.
        process_group: the group, or None for the default one.

    Raises:
        ConfigError: `torch.distributed` has not been initialised, or a layer of your own has not been built.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        message = "synchronize needs a process group: call torch.distributed.init_process_group first"
        raise ConfigError(message)
    check_begun(model, "synchronize")
    group = torch.distributed.group.WORLD if process_group is None else process_group
    for module in model.modules():
        if isinstance(module, Quantizer):
            module.process_group = group
