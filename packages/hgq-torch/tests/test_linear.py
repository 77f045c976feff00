"""`QLinear`: the fused training step equals the composed one, EBOPs equal counting, saved equals loaded."""

import copy
from itertools import product

import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core import LayerConfigScope
from hgq_core.cost import ebops as graph_ebops
from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_torch import nn as qnn

SHAPES = [((7,), 7, 9), ((3, 7), 7, 9), ((16,), 16, 4), ((5, 2, 3), 3, 40)]


def randomized(layer):
    """The layer with widths of every kind: dead, clipped, out of bounds."""
    with torch.no_grad():
        layer.weight.mul_(8)
        layer.kq.b.copy_(torch.rand_like(layer.kq.b) * 9 - 0.5)
        layer.kq.i.copy_(torch.rand_like(layer.kq.i) * 4 - 2)
        if layer.bias is not None:
            layer.bq.b.copy_(torch.rand_like(layer.bq.b) * 6 - 0.5)
            layer.bias.mul_(3)
            layer.bias[0] = 0.0
            layer.bias[1] = -0.5
        layer.iq.f.copy_(torch.rand_like(layer.iq.f) * 8 - 3)
    return layer


def composed(layer):
    other = copy.deepcopy(layer)
    other.made.pattern.plan = None
    return other


@pytest.mark.parametrize(
    ("shape", "activation", "bias", "granularity", "mode", "rows"),
    [
        (*case, rows)
        for case, rows in zip(
            product(SHAPES, ["relu", None], [True, False], [None, ()], ["RND", "TRN", "RND_CONV"]),
            [1, 50, 333] * 32,
            strict=True,
        )
    ],
)
def test_the_fused_step_is_the_composed_one(shape, activation, bias, granularity, mode, rows, monkeypatch):
    monkeypatch.setattr("hgq_torch._reduce._BLOCK_BYTES", 4096)
    input_shape, n_in, n_out = shape
    iq = {"round_mode": mode} | ({} if granularity is None else {"heterogeneous_axis": granularity})
    kq = {"round_mode": mode}
    fused = randomized(
        qnn.QLinear(n_in, n_out, bias=bias, activation=activation, iq=iq, kq=kq, input_shape=input_shape)
    )
    assert fused.made.pattern.plan is not None
    plain = composed(fused)
    x = torch.randn(rows, *input_shape) * 3
    for needs_gradient, step in product((True, False), range(2)):
        inputs = [(x * (step + 1)).requires_grad_(needs_gradient) for _ in range(2)]
        inputs = [t.detach().requires_grad_(needs_gradient) for t in inputs]
        outputs = [layer(t) for layer, t in zip((fused, plain), inputs, strict=True)]
        assert torch.equal(*outputs)
        # Whole numbers, so that sums of products are exact in whatever order a processor takes them.
        g = torch.randint_like(outputs[0], -1, 2)
        for layer, y in zip((fused, plain), outputs, strict=True):
            layer.zero_grad()
            y.backward(g)
        assert torch.equal(fused.weight.grad, plain.weight.grad)
        if needs_gradient:
            torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
        for (name, a), b in zip(fused.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")
        for (name, a), b in zip(fused.named_buffers(), plain.buffers(), strict=True):
            assert torch.equal(a, b), name


HUGE = [3.4e38, -3.4e38, 2.0**104, -(2.0**100), 2.0**97 * 1.5, 1e30, 0.3, -0.3]
TINY = [1e-40, -1e-40, 1e-45, -1e-45, 2.0**-126, -(2.0**-127), 0.0, -0.0]


@pytest.mark.parametrize("mode", ["RND", "TRN", "RND_CONV"])
@pytest.mark.parametrize("values", [HUGE, TINY])
@pytest.mark.parametrize("f", [-100, 0, 7, 24])
def test_the_fused_step_is_the_composed_one_for_huge_and_denormal_numbers(values, mode, f):
    fused = qnn.QLinear(2, 3, bias=False, iq={"round_mode": mode, "fc": None, "ic": None, "f0": f})
    with torch.no_grad():
        fused.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    plain = composed(fused)
    x = torch.tensor(values).view(-1, 2)
    for _ in range(2):
        assert torch.equal(fused(x), plain(x))
        assert torch.equal(fused.iq.i, plain.iq.i)
    assert torch.isfinite(fused(x)).all()


def test_the_fused_weight_is_the_composed_one_for_denormal_numbers():
    fused = qnn.QLinear(4, 2, bias=False, kq={"round_mode": "TRN"})
    with torch.no_grad():
        fused.weight.copy_(torch.tensor(TINY).view(2, 4))
    fused.kq.assign(b=[[2, 0, 2, 2], [2, 2, 2, 2]], i=30, k=[[1, 1, 1, 0], [1, 1, 1, 1]])
    plain = composed(fused)
    assert torch.equal(fused(torch.eye(4)), plain(torch.eye(4)))


def test_a_bias_needs_the_same_integer_bits_in_both_paths():
    layer = qnn.QLinear(1, 4000, bq={"i_decay_speed": 100.0})
    with torch.no_grad():
        exponents = torch.randint(-6, 6, (4000,)).float()
        layer.bias.copy_(torch.randint(-64, 65, (4000,)) * 2.0 ** (exponents - 5))
        layer.bias[:2000] += torch.randn(2000) * 1e-3
        layer.bq.b.copy_(torch.randint(0, 12, (4000,)))
    plain = composed(layer)
    x = torch.ones(1, 1)
    layer(x), plain(x)
    assert torch.equal(layer.bq.i, plain.bq.i)


def test_double_precision_and_other_specifications_take_the_composed_path():
    layer = qnn.QLinear(4, 3, dtype=torch.float64)
    assert torch.equal(layer(x := torch.randn(5, 4, dtype=torch.float64)), composed(layer)(x))
    for given in ({"kq": "kif"}, {"iq": {"overflow_mode": "SAT"}}, {"bq": "dummy"}, {"kq": {"stochastic": True}}):
        assert qnn.QLinear(4, 3, **given).made.pattern.plan is None
        assert qnn.QLinear(4, 3, **given)(torch.randn(5, 4)).shape == (5, 3)


def test_a_backward_pass_may_run_twice():
    layer = qnn.QLinear(4, 3)
    y = layer(torch.randn(5, 4)).sum()
    first, second = (torch.autograd.grad(y, list(layer.parameters())[:2], retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def counted(layer):
    """EBOPs by counting every product and every bias."""
    bits_in = layer.iq.counted_bits().broadcast_to(1, *layer.input_shape).reshape(-1, layer.in_features).tolist()
    kernel = layer.kq.counted_bits().broadcast_to(layer.weight.shape).tolist()
    bias = layer.bq.counted_bits().broadcast_to(layer.bias.shape).tolist()
    return sum(
        bias[o] + sum(row[n] * kernel[o][n] for n in range(layer.in_features))
        for row in bits_in
        for o in range(layer.out_features)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("widths", [{}, {"heterogeneous_axis": ()}])
def test_ebops_equal_counting(shape, widths):
    input_shape, n_in, n_out = shape
    layer = randomized(qnn.QLinear(n_in, n_out, input_shape=input_shape, iq=widths, kq=widths, bq=widths))
    assert hgq_torch.ebops(layer) == pytest.approx(counted(layer))
    rows = layer.output_shape[:-1]
    if rows:
        half = qnn.QLinear(n_in, n_out, input_shape=input_shape, parallelization_factor=1)
        full = qnn.QLinear(n_in, n_out, input_shape=input_shape)
        assert hgq_torch.ebops(half) * torch.Size(rows).numel() == pytest.approx(hgq_torch.ebops(full))


# A weight that nothing rounds has 24 bits, and its products have more than float32.
@pytest.mark.filterwarnings("ignore::hgq_core.errors.PrecisionWarning")
@pytest.mark.parametrize("made", ["dummy", lambda: hgq_torch.Quantizer("dummy")])
@pytest.mark.parametrize("names", [("iq",), ("kq",), ("bq",), ("iq", "kq", "bq")])
@pytest.mark.parametrize("input_shape", [(4,), (5, 4)])
def test_a_number_without_a_format_counts_no_bits(made, names, input_shape):
    dummies = {name: made() if callable(made) else made for name in names}
    layer = qnn.QLinear(4, 3, input_shape=input_shape, beta0=1.0, **dummies)
    x = torch.randn(20, *input_shape)
    plain = qnn.QLinear(4, 3, input_shape=input_shape)
    hgq_torch.calibrate(plain, x)
    bias = plain.bq.counted_bits().sum().item() * len(x[0].reshape(-1, 4))
    expected = {("bq",): hgq_torch.ebops(plain) - bias, ("iq",): bias, ("kq",): bias}.get(names, 0)
    with torch.no_grad():
        layer.bias.copy_(plain.bias)
    assert hgq_torch.calibrate(layer, x) == expected
    assert graph_ebops(hgq_torch.to_graph(layer, x[:1])) == expected
    (layer.train()(x).sum() + hgq_torch.ebops_loss(layer)).backward()
    assert all(layer.get_submodule(name).counted_bits().item() == 0 for name in names)


def test_the_loss_of_all_layers_equals_layer_by_layer():
    model = nn.Sequential(
        qnn.QLinear(16, 8, beta0=1e-3),
        qnn.QLinear(8, 8, beta0=2e-3, kq={"br": 1e-3}),
        qnn.QLinear(8, 8, bias=False, beta0=3e-3),
        qnn.QLinear(8, 5, beta0=4e-3, oq={"overflow_mode": "SAT"}, iq="dummy", enable_ebops=False),
    )
    for layer in model:
        with torch.no_grad():
            layer.kq.b.copy_(torch.randint(-2, 5, layer.kq.b.shape))
            if layer.iq.fixed:
                layer.iq.f.copy_(torch.randint(-6, 6, layer.iq.f.shape))
                layer.iq.i.copy_(torch.randint(-6, 6, layer.iq.i.shape))
    parameters = list(model.parameters())
    together = hgq_torch.ebops_loss(model)
    each = sum(layer.beta * layer.ebops() + layer.regularization() for layer in model)
    torch.testing.assert_close(together, each)
    for a, b in zip(
        torch.autograd.grad(together * 3, parameters, allow_unused=True, materialize_grads=True),
        torch.autograd.grad(each * 3, parameters, allow_unused=True, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_beta_and_options_come_from_scope_or_argument():
    with LayerConfigScope(beta0=0.5, enable_ebops=False):
        layer = qnn.QLinear(2, 2)
        assert layer.beta.item() == 0.5
        assert hgq_torch.ebops(layer) == 0
        assert hgq_torch.ebops(qnn.QLinear(2, 2, enable_ebops=True)) > 0
    model = nn.Sequential(layer)
    hgq_torch.set_beta(model, 1e-4)
    assert layer.beta.item() == pytest.approx(1e-4)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="beta"):
            hgq_torch.set_beta(model, bad)
    with pytest.raises(ConfigError, match="no quantized layer"):
        hgq_torch.set_beta(nn.Linear(1, 1), 1.0)


def test_training_lowers_loss_and_ebops():
    model = nn.Sequential(qnn.QLinear(4, 16, activation="relu", beta0=3e-5), qnn.QLinear(16, 1, beta0=3e-5))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    x = torch.randn(256, 4)
    y = x[:, :1] * x[:, 1:2]
    before, losses = hgq_torch.ebops(model), []
    for _ in range(150):
        optimizer.zero_grad()
        error = nn.functional.mse_loss(model(x), y)
        (error + hgq_torch.ebops_loss(model)).backward()
        optimizer.step()
        losses.append(error.item())
    assert losses[-1] < 0.5 * losses[0]
    assert hgq_torch.ebops(model) < before


def test_state_dict_round_trip():
    model = nn.Sequential(randomized(qnn.QLinear(4, 3)), qnn.QLinear(3, 2))
    model(torch.randn(9, 4))
    state = model.state_dict()
    assert {"0.weight", "0.bias", "0.kq.b", "0.kq.i", "0.kq.k", "0.bq.b", "0.iq.f", "0.iq.i", "0.beta"} <= state.keys()
    fresh = nn.Sequential(qnn.QLinear(4, 3), qnn.QLinear(3, 2))
    fresh.load_state_dict(state)
    x = torch.randn(9, 4)
    assert torch.equal(fresh.eval()(x), model.eval()(x))
    assert hgq_torch.ebops(fresh) == hgq_torch.ebops(model)


def test_a_layer_can_be_copied_after_a_training_step():
    layer = qnn.QLinear(4, 3)
    (layer(torch.randn(2, 4)).sum() + hgq_torch.ebops_loss(layer)).backward()
    assert copy.deepcopy(layer) is not layer


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"activation": "gelu"}, "activation"),
        ({"input_shape": (3, 5)}, "ends in in_features"),
        ({"parallelization_factor": 2}, "parallelization_factor"),
        ({"enable_iq": False, "enable_ebops": True}, "enable_ebops=False"),
        ({"kq": 3}, "expected a Quantizer"),
        ({"kq": {"b00": 3}}, "did you mean"),
    ],
)
def test_bad_options_are_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        qnn.QLinear(4, 3, **arguments)


def test_a_wrong_shape_names_the_layer():
    with pytest.raises(ShapeError, match=r"QLinear\(4, 3\): received \(2, 5\), expected \(batch, 4\)"):
        qnn.QLinear(4, 3)(torch.zeros(2, 5))


def test_autocast_does_not_reach_the_sums():
    layer = qnn.QLinear(16, 4)
    x = torch.randn(9, 16)
    expected = layer.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), expected)
        layer.train()(x.requires_grad_()).sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_replaced_quantizers_and_frozen_ranges_are_respected():
    layer = qnn.QLinear(4, 3)
    layer.iq.eval()
    layer(torch.full((2, 4), 100.0))
    assert layer.iq.i.max() == 2
    layer.iq = hgq_torch.Quantizer("kif", "datalane", shape=(None, 4), f0=0, round_mode="TRN")
    x = torch.randn(5, 4)
    assert torch.equal(layer(x), composed(layer)(x))


@pytest.mark.parametrize("name", ["iq", "kq", "bq"])
@pytest.mark.parametrize("change", [{"qnoise_factor": 0.0}, {"scaler": 0.3}, {"affine": (2.0, 0.5)}])
def test_what_is_set_after_construction_holds_in_the_next_step(name, change):
    layer = qnn.QLinear(4, 3)
    x = torch.randn(5, 4)
    before = layer(x)
    for attribute, value in change.items():
        setattr(getattr(layer, name), attribute, value)
    changed = layer(x)
    assert torch.equal(changed, composed(layer)(x))
    assert not torch.equal(changed, before)
    for attribute in change:
        setattr(getattr(layer, name), attribute, None)
    assert torch.equal(layer(x), before)
    assert layer.made.pattern.plan is not None


def test_an_activation_or_a_cost_that_is_switched_afterwards_is_respected():
    layer = qnn.QLinear(4, 3, beta0=1.0)
    x = torch.randn(50, 4)
    layer(x)
    layer.activation = "relu"
    assert layer(x).min() == 0
    layer.enable_ebops = False
    assert hgq_torch.ebops_loss(layer).item() == pytest.approx(layer.regularization().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_refused(dtype):
    with pytest.raises(ConfigError, match=r"dtype: received torch\.\w+16, expected torch\.float32"):
        qnn.QLinear(4, 3, dtype=dtype)
    layer = qnn.QLinear(4, 3).to(dtype)
    for mode in (True, False):
        with pytest.raises(ConfigError, match=r"QLinear\(4, 3\).*16.*\.float\(\)"):
            layer.train(mode)(torch.zeros(2, 4, dtype=dtype))


def test_data_that_is_wider_than_the_weights_is_refused_and_narrower_data_is_taken():
    layer = qnn.QLinear(4, 3)
    for mode in (True, False):
        for dtype in (torch.float64, torch.complex64):
            with pytest.raises(DataError, match=rf"QLinear\(4, 3\): received {dtype}.*weights.*torch\.float32"):
                layer.train(mode)(torch.zeros(2, 4, dtype=dtype))
        assert layer.train(mode)(torch.ones(2, 4, dtype=torch.int32)).dtype is torch.float32
        assert layer.train(mode)(torch.ones(2, 4, dtype=torch.bfloat16)).dtype is torch.float32
    wide = qnn.QLinear(4, 3).double()
    assert wide(torch.zeros(2, 4)).dtype is torch.float64


def test_an_empty_batch_has_no_range_to_follow():
    fused, plain = qnn.QLinear(4, 3), composed(qnn.QLinear(4, 3))
    for module in (fused, plain, hgq_torch.Quantizer("kif", shape=(None, 4))):
        with pytest.raises(DataError, match=r"empty.*\(0, 4\).*leave it out"):
            module.train()(torch.zeros(0, 4))
        assert module.eval()(torch.zeros(0, 4)).shape[0] == 0


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0), (-1, 3), (4, 2.5)])
def test_a_layer_without_features_is_refused(sizes):
    with pytest.raises(ConfigError, match=r"(in|out)_features: received .*, expected a whole number of at least 1"):
        qnn.QLinear(*sizes)
    with pytest.raises(ConfigError, match="input_shape"):
        qnn.QLinear(4, 3, input_shape=(0, 4))


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_one_example_alone_has_no_batch_axis(shape):
    layer = qnn.QLinear(4, 2, input_shape=shape).eval()
    x = torch.randn(5, *shape)
    assert torch.equal(torch.stack([layer(one) for one in x]), layer(x))
    with pytest.raises(ShapeError, match="received"):
        layer(torch.randn(5))
