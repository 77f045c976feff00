"""One vocabulary: what both front ends have is called the same and takes the same, as the page of names says.

`python tests/test_vocabulary.py` writes the page anew.
"""

import inspect
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/api/vocabulary.md"
LAYERS = (
    ("dense", "QDense", "QLinear"),
    ("einsum", "QEinsumDense", "QEinsumDense"),
    ("convolution", "QConv1D", "QConv1d"),
    ("", "QConv2D", "QConv2d"),
    ("batch normalisation", "QBatchNormalization", "QBatchNorm1d, QBatchNorm2d, QBatchNorm3d"),
    ("maximum over windows", "QMaxPooling2D", "QMaxPool2d"),
    ("average over windows", "QAveragePooling2D", "QAvgPool2d"),
    ("sum of tensors", "QAdd", "QAdd"),
    ("their difference", "QSubtract", "QSub"),
    ("their product", "QMultiply", "QMul"),
    ("largest of them", "QMaximum", "QMaximum"),
    ("smallest of them", "QMinimum", "QMinimum"),
    ("their average", "QAveragePow2", "QAverage"),
    ("one behind the other", "QConcatenate", "QCat"),
    ("sum over axes", "QSum", "QSum"),
    ("mean over axes", "QMeanPow2", "QMean"),
    ("contraction of data", "QEinsum", "QEinsum, QMatmul"),
    ("along one axis each", "QDot", "QDot"),
    ("linear and the norm behind it", "QEinsumDenseBatchnorm", "QLinearBatchNorm, QEinsumDenseBatchNorm"),
    ("linear and the norm before it", "QBatchNormDense", "QBatchNormLinear"),
    ("convolution over a sequence and its norm", "QConv1DBatchNorm", "QConv1dBatchNorm"),
    ("maximum over windows of a sequence", "QMaxPooling1D", "QMaxPool1d"),
    ("mean over windows of a sequence", "QAveragePooling1D", "QAvgPool1d"),
    ("maximum over all of a sequence", "QGlobalMaxPooling1D", "QAdaptiveMaxPool1d"),
    ("mean over all of a sequence", "QGlobalAveragePooling1D", "QAdaptiveAvgPool1d"),
    ("convolution over an image and its norm", "QConv2DBatchNorm", "QConv2dBatchNorm"),
    ("maximum over all of an image", "QGlobalMaxPooling2D", "QAdaptiveMaxPool2d"),
    ("mean over all of an image", "QGlobalAveragePooling2D", "QAdaptiveAvgPool2d"),
    ("convolution over a volume", "QConv3D", "QConv3d"),
    ("convolution over a volume and its norm", "QConv3DBatchNorm", "QConv3dBatchNorm"),
    ("convolution of each channel of a sequence", "QDepthwiseConv1D", "QConv1d"),
    ("convolution of each channel of an image, `groups=in_channels` in PyTorch", "QDepthwiseConv2D", "QConv2d"),
    ("that and a mix of the channels, of a sequence", "QSeparableConv1D", "QConv1d"),
    ("that and a mix of the channels, of an image, two layers in PyTorch", "QSeparableConv2D", "QConv2d"),
    ("transposed convolution over a sequence", "QConv1DTranspose", "QConvTranspose1d"),
    ("transposed convolution over an image", "QConv2DTranspose", "QConvTranspose2d"),
    ("transposed convolution over a volume", "QConv3DTranspose", "QConvTranspose3d"),
    ("maximum over windows of a volume", "QMaxPooling3D", "QMaxPool3d"),
    ("mean over windows of a volume", "QAveragePooling3D", "QAvgPool3d"),
    ("maximum over all of a volume", "QGlobalMaxPooling3D", "QAdaptiveMaxPool3d"),
    ("mean over all of a volume", "QGlobalAveragePooling3D", "QAdaptiveAvgPool3d"),
    ("table of a function", "QUnaryFunctionLUT", "QLUT"),
    ("with a learned map inside", "QAffinedUnaryFunctionLUT", "QLUT"),
    ("softmax", "QSoftmax", "QSoftmax"),
    ("attention", "QMultiHeadAttention", "QMultiheadAttention"),
    ("with fewer positions", "QLinformerAttention", "QMultiheadAttention"),
    ("dense of tables", "QDenseT", "QLinearT"),
    ("einsum of tables", "QEinsumDenseT", "QEinsumDenseT"),
    ("convolution of tables over a sequence", "QConvT1D", "QConvT1d"),
    ("convolution of tables over an image", "QConvT2D", "QConvT2d"),
    ("attention of tables", "QMultiHeadAttentionT", "QMultiheadAttentionT"),
    ("with fewer positions", "QLinformerAttentionT", "QMultiheadAttentionT"),
    ("layer normalisation", "QLayerNormalization", "QLayerNorm"),
    ("by the root of the mean square", "QRMSNormalization", "QRMSNorm"),
    ("recurrent", "QSimpleRNN", "QRNN"),
    ("gated recurrent unit", "QGRU", "QGRU"),
    ("long short-term memory", "QLSTM", "QLSTM"),
    ("one step of it", "QSimpleRNNCell", "QRNNCell"),
    ("", "QGRUCell", "QGRUCell"),
    ("", "QLSTMCell", "QLSTMCell"),
    ("spiking", "QSimpleSNN", "QLIF"),
    ("with a leak", "QLIF", "QLIF"),
    ("one step of it", "QSimpleSNNCell", "QLIFCell"),
    ("", "QLIFCell", "QLIFCell"),
    ("a layer of your own", "QLayer", "QModule"),
)
"""Layers that compute the same; names are those of each framework."""
OWN = {
    "hgq_keras": {
        "Dataset": "batches for `fit`; PyTorch has its `DataLoader`",
        "QuantizerConfig": "a quantizer and its place, with what surrounds it; in PyTorch the arguments of `Quantizer`",
        "load_model": "files of Keras; PyTorch has `state_dict`",
        "save_model": "likewise",
        "quantized_layers": "PyTorch has `model.modules()`",
        "trace_minmax": "`calibrate` under the name of HGQ2",
        "width_variables": "to keep weight decay from widths; PyTorch has `parameter_groups`",
        "layers": "PyTorch has `nn`",
    },
    "hgq_torch": {
        "HGQError": "of `hgq_core`",
        "Mode": "of `hgq_core.quantizer`",
        "build": "sizes that a constructor does not know; Keras layers have their own `build`",
        "ebops_loss": "Keras adds it to `model.losses` by itself",
        "from_graph": "a graph of either front end as a module that trains",
        "nn": "Keras has `layers`",
        "parameter_groups": "to keep weight decay from widths; Keras has `width_variables`",
        "synchronize": "ranges over data-parallel replicas; Keras does it by itself",
    },
}
"""What only one side has, and why."""


@pytest.fixture(scope="module")
def sides():
    """The two packages."""
    return modules()


def modules():
    import hgq_keras
    import hgq_torch

    return hgq_keras, hgq_torch


def names(package):
    return {name for name in package.__all__ if not name.startswith("__")}


def shared(sides):
    return sorted(names(sides[0]) & names(sides[1]))


def first_arguments(function):
    """Names of the arguments that have to be given."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


def page(sides):
    """The page of names."""
    keras, torch = sides
    lines = [
        "# Names, side by side",
        "",
        "What both front ends have is called the same; a test holds this page to the code.",
        "",
        "## Functions",
        "",
        "| `hgq_keras.` and `hgq_torch.` | does |",
        "|---|---|",
    ]
    lines += [f"| `{n}` | {inspect.getdoc(getattr(torch, n)).partition(chr(10))[0]} |" for n in shared(sides)]
    lines += ["", "## Layers", "", "| | `hgq_keras.layers` | `hgq_torch.nn` |", "|---|---|---|"]
    lines += [f"| {what} | `{a}` | {', '.join(f'`{name}`' for name in b.split(', '))} |" for what, a, b in LAYERS]
    for package in (keras, torch):
        lines += ["", f"## Only in {package.__name__}", "", "| name | because |", "|---|---|"]
        lines += [f"| `{name}` | {why} |" for name, why in OWN[package.__name__].items()]
    return "\n".join(lines) + "\n"


def test_what_one_side_has_the_other_has_too_or_a_reason(sides):
    keras, torch = sides
    assert names(keras) - names(torch) == set(OWN["hgq_keras"])
    assert names(torch) - names(keras) == set(OWN["hgq_torch"])


def test_the_words_that_users_type_are_there(sides):
    words = {"calibrate", "dead_layers", "ebops", "ebops_by_layer", "set_beta", "to_graph", "uncalibrated"}
    assert words <= set(shared(sides))


@pytest.mark.parametrize("name", ["calibrate", "dead_layers", "ebops", "ebops_by_layer", "set_beta", "uncalibrated"])
def test_they_take_the_same(sides, name):
    keras, torch = (first_arguments(getattr(side, name)) for side in sides)
    assert keras == torch


def test_layers_of_one_side_have_a_counterpart(sides):
    keras, torch = sides
    listed = {name for _, name, _ in LAYERS}, {name for _, _, group in LAYERS for name in group.split(", ")}
    assert listed[0] == {name for name in keras.layers.__all__ if name.startswith("Q") and name != "Quantizer"}
    assert listed[1] == set(torch.nn.__all__)


def test_the_page_is_that_of_the_code(sides):
    assert PAGE.read_text(encoding="utf-8") == page(sides), "write it anew: python tests/test_vocabulary.py"


if __name__ == "__main__":
    PAGE.write_text(page(modules()), encoding="utf-8")
