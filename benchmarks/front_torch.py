"""One training run under a rising beta, on PyTorch: prints the scored models of its front as JSON."""

from __future__ import annotations

import copy
import json
import sys
from itertools import pairwise

import torch
from front_points import Data, Kept, beta_at, rate_at, scores, settings_from

import hgq_torch
from hgq_torch.nn import QLinear


def network(sizes: list[int]) -> torch.nn.Sequential:
    """A dense network with the initialisation of Keras' layers."""
    layers = []
    for n, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        layer = QLinear(n_in, n_out, activation="relu" if n < len(sizes) - 1 else None)
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        layers.append(layer)
    return torch.nn.Sequential(*layers)


def main() -> None:
    settings, data = settings_from(sys.argv[2]), Data.load(sys.argv[1])
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(1)
    model = network([data.x_train.shape[1], *settings["hidden"], settings["classes"]])
    x, y = torch.as_tensor(data.x_train), torch.as_tensor(data.y_train).long()
    splits = {name: torch.as_tensor(getattr(data, f"x_{name}")) for name in ("val", "test")}
    labels = {"val": data.y_val, "test": data.y_test}
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"], eps=1e-7)
    kept = Kept(settings["most"])

    def scored(split: str) -> tuple[float, float]:
        model.eval()
        with torch.no_grad():
            return scores(model(splits[split]).numpy(), labels[split])

    for epoch in range(settings["epochs"]):
        hgq_torch.set_beta(model, beta_at(settings, epoch))
        for group in optimizer.param_groups:
            group["lr"] = rate_at(settings, epoch)
        model.train()
        for rows in torch.randperm(len(x)).split(settings["batch"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows]) + hgq_torch.ebops_loss(model)
            loss.backward()
            optimizer.step()
        accuracy, loss_ = scored("val")
        kept.offer(hgq_torch.ebops(model), accuracy, loss_, lambda: copy.deepcopy(model.state_dict()))
    result = []
    for point in sorted(kept.points, key=lambda point: point.ebops):
        model.load_state_dict(point.state)
        row = {"ebops": hgq_torch.calibrate(model, x)}
        for split in ("val", "test"):
            row[f"{split}_accuracy"], row[f"{split}_loss"] = scored(split)
        result.append(row)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
