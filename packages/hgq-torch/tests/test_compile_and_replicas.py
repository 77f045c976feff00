"""Compiled and data-parallel training give the widths and weights of one eager process."""

import copy
import socket

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.errors import ConfigError
from hgq_torch import nn as qnn


def network():
    return nn.Sequential(qnn.QLinear(6, 8, activation="relu", beta0=1e-4), qnn.QLinear(8, 3, beta0=1e-4))


def steps(model, loss_of, x, y, number=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(number):
        optimizer.zero_grad()
        loss_of(x, y).backward()
        optimizer.step()


# PyTorch's compiler instantiates the class of every autograd function that it traces, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_a_compiler_sees_one_graph_and_gives_the_same():
    model = network()
    other = copy.deepcopy(model)
    x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))

    def loss_of(module):
        return lambda x, y: nn.functional.cross_entropy(module(x), y) + hgq_torch.ebops_loss(module)

    torch._dynamo.reset()
    steps(model, torch.compile(loss_of(model), fullgraph=True, backend="aot_eager"), x, y)
    steps(other, loss_of(other), x, y)
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda m, n=name: f"{n}: {m}")


def _replica(rank, port, state, x, y, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = network()
    model.load_state_dict(state)
    hgq_torch.synchronize(model)
    replica = nn.parallel.DistributedDataParallel(model)
    part = slice(rank * 16, rank * 16 + 16)
    steps(
        model, lambda x, y: nn.functional.cross_entropy(replica(x), y) + hgq_torch.ebops_loss(model), x[part], y[part]
    )
    results[rank] = {name: value.clone() for name, value in model.state_dict().items()}
    torch.distributed.destroy_process_group()


def test_two_replicas_are_one_process():
    model = network()
    x, y = torch.randn(32, 6) * 3, torch.randint(0, 3, (32,))
    state = copy.deepcopy(model.state_dict())
    steps(model, lambda x, y: nn.functional.cross_entropy(model(x), y) + hgq_torch.ebops_loss(model), x, y)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(_replica, (port, state, x, y, results), nprocs=2)
        for rank in range(2):
            for name, value in model.state_dict().items():
                torch.testing.assert_close(results[rank][name], value, msg=lambda m, n=name: f"{n}: {m}")


def test_synchronize_needs_a_process_group():
    with pytest.raises(ConfigError, match="init_process_group"):
        hgq_torch.synchronize(network())
