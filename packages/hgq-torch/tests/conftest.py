"""One thread, and a seed of its own for every test."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _repeatable():
    torch.set_num_threads(1)
    torch.manual_seed(0)
