"""Backends that train, calibrate or save wrongly in one place each; NumPy's backend cannot, since it does not train."""

import copy

import torch

from hgq_torch.testing import TorchBackend, TorchModel


class _WithoutAPrice(TorchModel):
    """EBOPs are not in the loss."""

    def train(self, x, y, *, steps, learning_rate, beta):
        return super().train(x, y, steps=steps, learning_rate=learning_rate, beta=0.0)


class _WithoutWidths(TorchModel):
    """The optimizer moves weights only."""

    def train(self, x, y, *, steps, learning_rate, beta):
        widths = [p for name, p in self.module.named_parameters() if name.endswith((".b", ".f", ".i"))]
        kept = [width.detach().clone() for width in widths]
        losses = super().train(x, y, steps=steps, learning_rate=learning_rate, beta=beta)
        with torch.no_grad():
            for width, before in zip(widths, kept, strict=True):
                width.copy_(before)
        return losses


class _OnACopy(TorchModel):
    """What it trains is not the model."""

    def train(self, x, y, *, steps, learning_rate, beta):
        kept = copy.deepcopy(self.module.state_dict())
        losses = super().train(x, y, steps=steps, learning_rate=learning_rate, beta=beta)
        self.module.load_state_dict(kept)
        return losses


class _LastBatchOnly(TorchModel):
    """Ranges are those of the last batch."""

    def calibrate(self, *inputs, batch_size=None):
        for start in range(0, len(inputs[0]), batch_size or len(inputs[0])):
            super().calibrate(*(x[start : start + (batch_size or len(x))] for x in inputs))


class _FreeAtZero(TorchModel):
    """An element without bits is not told what its first one costs."""

    def cost_gradients(self, *inputs):
        found = super().cost_gradients(*inputs)
        for (layer, name), widths in found.items():
            free = self.quantizer(layer, name).bits() <= 0
            for width, gradient in widths.items():
                widths[width] = gradient * (1 - free.reshape(gradient.shape) if free.size == gradient.size else 1)
        return found


class _ForgetfulOfRanges(TorchModel):
    """What the data decide is not in the file."""

    def save_and_load(self, folder, save_format):
        for name, buffer in self.module.named_buffers():
            if name.endswith((".i", ".k")):
                buffer.zero_()
        return super().save_and_load(folder, save_format)


class NoPrice(TorchBackend):
    model_class = _WithoutAPrice


class NoWidths(TorchBackend):
    model_class = _WithoutWidths


class WrongModel(TorchBackend):
    model_class = _OnACopy


class LastBatch(TorchBackend):
    model_class = _LastBatchOnly


class FreeAtZero(TorchBackend):
    model_class = _FreeAtZero


class NoRanges(TorchBackend):
    model_class = _ForgetfulOfRanges
