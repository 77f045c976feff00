"""Callbacks, each driven through `fit` on a tiny network with a nested model in it."""

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, DataError, DeadLayerWarning, HGQWarning
from hgq_keras import callbacks, ebops, trace_minmax, uncalibrated
from hgq_keras.layers import QDense, quantized_layers

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 2, 32)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), QDense(4, activation="relu", name="inner_dense")])
    outer = keras.Sequential([keras.Input((4,)), inner, QDense(2, name="outer_dense")])
    outer.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return outer


def fit(model, *used, epochs=3):
    options = {"batch_size": 16, "epochs": epochs, "verbose": 0, "validation_data": (X, Y), "shuffle": False}
    return model.fit(X, Y, callbacks=list(used), **options).history


def test_the_scheduler_sets_beta_everywhere_and_logs_it(model):
    history = fit(model, callbacks.BetaScheduler(lambda epoch: 1e-6 * (epoch + 1)))
    np.testing.assert_allclose(history["beta"], [1e-6, 2e-6, 3e-6])
    assert len(quantized_layers(model)) == 2
    np.testing.assert_allclose([layer.beta for layer in quantized_layers(model)], 3e-6, rtol=1e-6)


def test_a_scheduler_reaches_the_compiled_step(model):
    losses = fit(model, callbacks.BetaScheduler(lambda epoch: [0.0, 1.0][epoch]), epochs=2)["loss"]
    assert losses[1] > losses[0] + 100


def test_a_layer_without_ebops_keeps_its_beta(model):
    first, second = quantized_layers(model)
    second.enable_ebops = False
    fit(model, callbacks.BetaScheduler(lambda epoch: 0.5), epochs=1)
    assert first.beta == 0.5
    assert float(keras.ops.convert_to_numpy(second._beta)) != 0.5


@pytest.mark.parametrize("beta", [-1.0, float("nan"), "much", None])
def test_a_beta_that_is_none_is_refused(model, beta):
    with pytest.raises(ConfigError, match="beta_fn"):
        fit(model, callbacks.BetaScheduler(lambda epoch: beta))


def test_a_model_without_quantized_layers_is_refused():
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ConfigError, match="no layer that counts EBOPs"):
        fit(plain, callbacks.BetaScheduler(lambda epoch: 0.0))


def test_a_log_segment_from_zero_is_refused():
    with pytest.raises(ConfigError, match="0 has no logarithm"):
        callbacks.PieceWiseSchedule([[0, 0.0, "log"], [10, 1e-6, "constant"]])


def test_ebops_are_in_the_history(model):
    history = fit(model, callbacks.FreeEBOPs())
    assert history["ebops"][-1] == ebops(model) > 0


def test_ebops_in_logs_are_whole_numbers_that_file_names_and_histories_show_as_digits():
    layer = QDense(3, ebops_factor=0.3, name="fractional")
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile("sgd", "mse")
    for used in (callbacks.FreeEBOPs(), callbacks.PBar(), callbacks.BetaPID(target_ebops=5, warmup=0)):
        history = model.fit(X, np.zeros((32, 3)), verbose=0, callbacks=[used]).history
        logged = history["ebops"][-1]
        assert isinstance(logged, int)
        assert f"{logged}".isdigit()
        assert abs(logged - ebops(model)) <= 0.5
        assert ebops(model) != logged


def test_the_pid_logs_beta_and_ebops(model):
    history = fit(model, callbacks.BetaPID(target_ebops=ebops(model) / 2, init_beta=1e-6, warmup=1, p=10.0), epochs=3)
    assert history["beta"][0] == pytest.approx(1e-6)
    assert history["beta"][-1] > 0
    assert len(history["ebops"]) == 3


# --- the front --------------------------------------------------------------------------------------------------------


class Feed(keras.callbacks.Callback):
    """Puts numbers of its own into the logs."""

    def __init__(self, **columns):
        super().__init__()
        self.columns = columns

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.columns.items()})


def test_the_front_keeps_what_is_not_dominated(model, tmp_path):
    # given: the third epoch dominates the first, the second stays
    feed = Feed(a=[0.5, 0.9, 0.6], cost=[100.0, 200.0, 90.0])
    front = callbacks.ParetoFront(tmp_path, ["a", "cost"], [1, -1], "{epoch}-{a:.1f}.keras")

    # when
    fit(model, feed, front)

    # then
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-0.9.keras", "3-0.6.keras"]
    assert [path.name for path in front.paths] == ["3-0.6.keras", "2-0.9.keras"]
    assert front.record == [{"a": 0.6, "cost": 90.0}, {"a": 0.9, "cost": 200.0}]
    loaded = keras.models.load_model(front.paths[0])
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_the_front_computes_ebops_and_saves_weights(model, tmp_path):
    front = callbacks.ParetoFront(tmp_path, ["val_accuracy", "ebops"], [1, -1], "{epoch}.weights.h5")
    fit(model, front, epochs=1)
    assert front.record[0]["ebops"] == ebops(model)
    model.load_weights(front.paths[0])


def test_the_front_names_files_by_the_digits_of_ebops(model, tmp_path):
    front = callbacks.ParetoFront(tmp_path, ["ebops"], [-1], "{epoch}-{ebops}.keras")
    fit(model, front, epochs=1)
    assert [path.name for path in front.paths] == [f"1-{ebops(model):.0f}.keras"]


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_front_may_hold_calibrated_models_while_training_goes_on_from_where_it_was(model, tmp_path, suffix):
    # given: the same training without a front, and a model whose ranges follow the data
    alone = keras.models.clone_model(model)
    alone.compile("adam", model.loss, metrics=["accuracy"])
    alone.set_weights(model.get_weights())
    before = fit(alone, callbacks.FreeEBOPs(), epochs=2)
    data = 4 * X

    # when: every epoch is taken in
    name = "{epoch}-{ebops}" + suffix
    front = callbacks.ParetoFront(tmp_path, ["a", "b", "ebops"], [1, 1, -1], name, calibrate=data)
    after = fit(model, callbacks.FreeEBOPs(), Feed(a=[1.0, 2.0], b=[2.0, 1.0]), front, epochs=2)

    # then: training did not notice
    assert after["loss"] == before["loss"]
    assert after["ebops"] == before["ebops"]
    for ours, theirs in zip(model.weights, alone.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs))
    assert uncalibrated(model) == uncalibrated(alone)
    assert uncalibrated(model)

    # and: the files are calibrated, and cost what their names say
    assert len(front.paths) == 2
    for path, point in zip(front.paths, front.record, strict=True):
        loaded = model
        if suffix == ".keras":
            loaded = keras.models.load_model(path)
        else:
            loaded.load_weights(path)
        assert not uncalibrated(loaded)
        assert point["ebops"] == ebops(loaded) != after["ebops"][-1]
        assert path.name.split("-")[1] == f"{point['ebops']}{suffix}"
        trace_minmax(loaded, data)
        assert ebops(loaded) == point["ebops"]


def test_only_what_the_front_may_take_is_calibrated(model, tmp_path):
    class Counted(keras.utils.PyDataset):
        passes = 0

        def __len__(self):
            return 1

        def __getitem__(self, _index):
            Counted.passes += 1
            return X, Y

    front = callbacks.ParetoFront(tmp_path, ["a"], [1], "{epoch}-{ebops}.keras", calibrate=Counted())
    fit(model, Feed(a=[2.0, 1.0, 3.0]), front)
    assert Counted.passes == 2
    front = callbacks.ParetoFront(tmp_path / "other", ["a", "ebops"], [1, -1], calibrate=Counted())
    fit(model, Feed(a=[2.0, 1.0, 3.0]), front)
    assert Counted.passes == 5


def test_data_that_can_be_read_only_once_calibrate_no_front(tmp_path):
    with pytest.raises(ConfigError, match="calibrate: received a generator, which can be read only once"):
        callbacks.ParetoFront(tmp_path, ["ebops"], [-1], calibrate=(x for x in [X]))


def test_a_calibration_that_fails_is_not_kept_quiet_and_leaves_training_as_it_was(model, tmp_path):
    front = callbacks.ParetoFront(tmp_path, ["ebops"], [-1], calibrate=np.full((4, 4), np.nan, "float32"))
    with pytest.raises(DataError, match="NaN"):
        fit(model, front, epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_the_front_leaves_out_what_it_is_told_to(model, tmp_path):
    front = callbacks.ParetoFront(tmp_path / "no", ["loss"], [-1], enable_if=lambda logs: logs["loss"] < 0)
    fit(model, front)
    assert front.paths == []
    assert not (tmp_path / "no").exists()


def test_an_interrupted_save_leaves_no_half_file(model, tmp_path, monkeypatch):
    def interrupted(path, overwrite):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks.ParetoFront(tmp_path, ["loss"], [-1]), epochs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"metrics": ["a", "b"], "sides": [1]}, "one side"),
        ({"metrics": "loss", "sides": [1, 1, 1, 1]}, "one side"),
        ({"metrics": ["a"], "sides": [2]}, r"\+1"),
        ({"metrics": ["a"], "sides": [1], "fname_format": "{epoch}.h5"}, "ends in one of"),
    ],
)
def test_a_front_that_cannot_be_is_refused(tmp_path, arguments, match):
    with pytest.raises(ConfigError, match=match):
        callbacks.ParetoFront(tmp_path, **arguments)


def test_a_missing_metric_is_named(model, tmp_path):
    with pytest.raises(ConfigError, match=r"lack \['val_auc'\]"):
        fit(model, callbacks.ParetoFront(tmp_path, ["val_auc"], [1]))


def test_nan_is_refused(model, tmp_path):
    with pytest.raises(DataError, match="NaN"):
        fit(model, Feed(a=[float("nan")] * 3), callbacks.ParetoFront(tmp_path, ["a"], [1]))


# --- the bar ----------------------------------------------------------------------------------------------------------


def test_the_bar_prints_lines_where_there_is_no_terminal(model, capsys):
    fit(model, callbacks.PBar())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("epoch 3/3")
    for word in ("loss", "accuracy", f"EBOPs {ebops(model):,.0f}"):
        assert word in lines[-1]


def test_the_bar_prints_few_lines_of_many_epochs(model, capsys):
    fit(model, callbacks.PBar("loss {loss:.2f}/{val_loss:.2f}", disable_ebops=True), epochs=60)
    lines = capsys.readouterr().out.splitlines()
    assert 15 <= len(lines) <= 22
    assert "EBOPs" not in lines[-1]


def test_the_bar_is_live_on_a_terminal(model, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    fit(model, callbacks.PBar())
    out = capsys.readouterr().out
    assert "\x1b[" in out
    assert "EBOPs" in out


def test_the_bar_names_what_the_logs_lack(model):
    with pytest.raises(ConfigError, match="val_auc"):
        fit(model, callbacks.PBar("{val_auc}"))


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_stop_if_waits_for_its_patience(model):
    assert len(fit(model, callbacks.StopIf(lambda logs: True, patience_epochs=1), epochs=5)["loss"]) == 2
    assert len(fit(model, callbacks.StopIf(lambda logs, model: model.count_params() == 0), epochs=3)["loss"]) == 3


def test_stop_if_counts_steps(model):
    assert len(fit(model, callbacks.StopIf(lambda logs: True, patience_steps=2), epochs=5)["loss"]) == 2


def test_early_stopping_looks_only_at_cheap_epochs(model):
    worse = {"val_loss": [1.0, 2.0, 3.0, 4.0, 5.0], "ebops": [900.0, 900.0, 900.0, 400.0, 400.0]}
    stopping = callbacks.EarlyStoppingWithEbopsThres(500, patience=1)
    assert len(fit(model, Feed(**worse), stopping, epochs=5)["loss"]) == 5
    stopping = callbacks.EarlyStoppingWithEbopsThres(1000, patience=1)
    assert len(fit(model, Feed(**worse), stopping, epochs=5)["loss"]) == 2


# --- dead layers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("callback", [callbacks.FreeEBOPs, lambda: callbacks.BetaScheduler(lambda epoch: 0.0)])
def test_a_layer_that_has_died_is_named(model, callback):
    kernel = quantized_layers(model)[0].kernel
    kernel.assign(np.zeros(kernel.shape, "float32"))
    with pytest.warns(DeadLayerWarning, match="inner_dense"):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[Freeze(), callback()])


class Freeze(keras.callbacks.Callback):
    """Puts the weights back after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        kernel = quantized_layers(self.model)[0].kernel
        kernel.assign(np.zeros(kernel.shape, "float32"))


def test_models_of_another_run_in_the_folder_are_told_of_and_stay(model, tmp_path):
    for name in ("epoch=3.keras", "epoch=4.weights.h5", "notes.txt"):
        (tmp_path / name).touch()
    front = callbacks.ParetoFront(tmp_path, ["ebops"], [-1])
    with pytest.warns(HGQWarning, match=r"holds 2 model\(s\) of another run, which stay"):
        fit(model, front, epochs=1)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_front_that_goes_on_knows_its_own_models(model, tmp_path):
    front = callbacks.ParetoFront(tmp_path, ["ebops"], [-1])
    fit(model, front, epochs=1)
    fit(model, front, epochs=1)
    assert front.paths
