from concurrent.futures import ThreadPoolExecutor

import pytest

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow
from hgq_core.scope import KeptScope, LayerConfigScope, QuantizerConfigScope, layer_option, resolve


def test_an_inner_scope_wins_and_what_it_does_not_name_shines_through():
    with QuantizerConfigScope(place="weight", b0=4, i0=1), QuantizerConfigScope(place="weight", b0=3):
        assert (resolve(place="weight").b0, resolve(place="weight").i0) == (3, 1)
        assert resolve(place="bias").b0 == 8
    assert resolve(place="weight").b0 == 8


def test_the_users_two_scopes():
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP"),
    ):
        assert (resolve(place="bias").q_type, resolve(place="bias").overflow_mode) == ("kbi", Overflow.SAT_SYM)
        assert (resolve().q_type, resolve().overflow_mode) == ("kif", Overflow.WRAP)


def test_arguments_win_over_scopes_and_types_take_only_what_they_know():
    with QuantizerConfigScope(q_type=("kbi", "kif"), b0=5, f0=3):
        assert resolve("kbi", "weight", b0=7).b0 == 7
        assert resolve("kif", "datalane").f0 == 3
        assert resolve("float").m0 == 2


@pytest.mark.parametrize("given", [{"i0": 3, "f0": 4}, {"i0": 3, "b0": 7}, {"b0": 7, "f0": 4}])
def test_of_three_widths_two_give_the_third(given):
    with QuantizerConfigScope(**given):
        data, weight = resolve("kif", "datalane"), resolve("kbi", "weight")
    assert (data.i0, data.f0, weight.b0, weight.i0) == (3, 4, 7, 3)


def test_a_scope_can_be_entered_again_and_inside_itself():
    scope = LayerConfigScope(beta0=1.0)
    for _ in range(2):
        with scope, LayerConfigScope(beta0=2.0), scope:
            assert layer_option("beta0") == 1.0
        assert layer_option("beta0") == 1e-5


def test_an_exception_leaves_the_scope():
    with pytest.raises(RuntimeError), LayerConfigScope(enable_ebops=False):
        raise RuntimeError
    assert layer_option("enable_ebops") is True


def test_threads_do_not_see_each_others_scopes():
    with LayerConfigScope(beta0=3.0), ThreadPoolExecutor(1) as pool:
        assert pool.submit(layer_option, "beta0").result() == 1e-5


def test_layer_defaults():
    names = ("enable_ebops", "enable_iq", "enable_oq", "enable_sq", "beta0")
    assert [layer_option(name) for name in names] == [True, True, False, True, 1e-5]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: QuantizerConfigScope(places="all"), "unknown quantizer parameter 'places'"),
        (lambda: QuantizerConfigScope(q_type="float", b0=3), "unknown quantizer parameter 'b0' for type float"),
        (lambda: QuantizerConfigScope(place="layer"), "place: received 'layer'"),
        (lambda: QuantizerConfigScope(default_q_type="int8"), "quantizer type: received 'int8'"),
        (lambda: QuantizerConfigScope(homogeneous_axis=(), heterogeneous_axis=()), "exclude each other"),
        (lambda: LayerConfigScope(enable_epobs=True), "did you mean 'enable_ebops'"),
        (lambda: LayerConfigScope(beta0=-1e-5), "beta0 of the LayerConfigScope: received -1e-05, expected a finite"),
        (lambda: LayerConfigScope(beta0=float("nan")), "beta0 of the LayerConfigScope: received nan"),
        (lambda: QuantizerConfigScope(i0=float("nan")), "i0: received nan, expected a number of bits"),
        (lambda: QuantizerConfigScope(q_type="kbi", b0=1000), "b0: received 1000, expected a number of bits"),
        (lambda: QuantizerConfigScope(fr=float("inf")), "fr: received inf, expected a finite factor"),
        (lambda: QuantizerConfigScope(i_decay_speed="fast"), "i_decay_speed: received 'fast', expected bits per step"),
        (lambda: QuantizerConfigScope(overflow_mode="SAT_SIM"), "did you mean 'SAT_SYM'"),
    ],
)
def test_unknown_names_are_refused_when_the_scope_is_made(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_a_kept_scope_holds_elsewhere_without_the_scopes_around_it():
    outside = KeptScope()
    with QuantizerConfigScope(place="weight", b0=4):
        kept = KeptScope()
    with QuantizerConfigScope(place=("weight", "bias"), b0=3):
        with kept.entered():
            assert (resolve(place="weight").b0, resolve(place="bias").b0) == (4, 8)
            with outside.entered():
                assert resolve(place="weight").b0 == 8
            with QuantizerConfigScope(place="bias", b0=5):
                assert (resolve(place="weight").b0, resolve(place="bias").b0) == (4, 5)
        assert resolve(place="weight").b0 == 3
    with pytest.raises(RuntimeError), kept.entered():
        raise RuntimeError
    assert resolve(place="weight").b0 == 8
    with ThreadPoolExecutor(1) as pool, kept.entered():
        assert pool.submit(lambda: resolve(place="weight").b0).result() == 8
