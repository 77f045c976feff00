from math import inf, nan

import pytest

from hgq_core.controller import BudgetController, PIDController
from hgq_core.errors import ConfigError, DataError


def plant(beta):
    """A network whose cost falls as a power of beta: 8000 at 1e-6."""
    return 8000.0 * (beta / 1e-6) ** -0.5


def test_warmup_keeps_the_initial_beta_and_the_first_step_does_not_jump():
    control = PIDController(1000, 1e-6, warmup=3)
    assert [control.update(5000) for _ in range(4)] == pytest.approx([1e-6] * 4)


def test_proportional_gain_works_on_the_exponent():
    control = PIDController(1000, 1e-6, p=1.0, i=0.0, warmup=0)
    control.update(1000)
    assert control.update(10_000) == pytest.approx(1e-5)
    assert control.update(100) == pytest.approx(1e-7)


def test_integral_gain_removes_the_remaining_error():
    control = PIDController(1000, 1e-6, p=0.5, i=0.3, warmup=0)
    beta = 1e-6
    for _ in range(100):
        beta = control.update(plant(beta))
    assert plant(beta) == pytest.approx(1000, rel=1e-3)


def test_linear_mode_works_on_beta_itself():
    control = PIDController(1000, 1.0, p=0.5, i=0.0, warmup=0, log=False)
    control.update(1000)
    assert control.update(3000) == pytest.approx(2.0)


def test_derivative_gain_answers_the_change():
    control = PIDController(1000, 1e-6, p=0.0, i=0.0, d=1.0, warmup=0)
    assert control.update(1000) == pytest.approx(1e-6)
    assert control.update(10_000) == pytest.approx(1e-5)
    assert control.update(10_000) == pytest.approx(1e-6)


def test_limits_and_damping():
    control = PIDController(1000, 1e-6, i=0.0, warmup=0, min_beta=5e-7, max_beta=2e-6, damp_on_target=0.25)
    control.update(1000)
    assert control.update(1e9) == 2e-6
    assert control.update(999.999) == pytest.approx(0.75e-6, rel=1e-4)
    assert control.update(0) == 5e-7


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"target": 0}, "expected a positive number"),
        ({"initial_beta": 0.0}, "has no logarithm"),
        ({"initial_beta": nan}, "expected 0 <= min_beta"),
        ({"max_beta": 1e-9}, "expected 0 <= min_beta"),
        ({"damp_on_target": 2}, "expected 0 to 1"),
        ({"p": inf}, "finite gains"),
        ({"warmup": -1}, "warmup >= 0"),
    ],
)
def test_bad_pid_arguments_are_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        PIDController(**({"target": 1000, "initial_beta": 1e-6} | arguments))


@pytest.mark.parametrize("make", [lambda: PIDController(1, 1), lambda: BudgetController(1, 1)])
@pytest.mark.parametrize("cost", [nan, inf, -1.0])
def test_a_cost_that_is_no_number_is_refused(make, cost):
    control = make()
    with pytest.raises(DataError, match="cost of an epoch"):
        control.update(cost) if isinstance(control, PIDController) else control.update(cost, 0.0)


@pytest.mark.parametrize("budget", [200, 1000, 7900, 20_000])
def test_budget_is_met_and_not_undercut_by_much(budget):
    control, beta = BudgetController(budget, 1e-6), 1e-6
    for _ in range(100):
        beta = control.update(plant(beta), score=plant(beta))
    assert control.best is not None
    assert 0.9 * budget <= control.best.cost <= budget
    assert 0.9 * budget <= plant(beta) <= budget


def test_best_feasible_is_remembered_with_the_beta_that_made_it():
    control = BudgetController(100, 1.0, slack=0.5)
    control.update(120, score=0.99)
    assert control.best is None
    used = control.beta
    control.update(90, score=0.5)
    control.update(80, score=0.4)
    control.update(80, score=0.5)
    control.update(10, score=nan)
    assert (control.best.epoch, control.best.beta, control.best.cost) == (3, used, 80)


def test_just_above_the_budget_beta_still_grows():
    control = BudgetController(100, 1.0, min_factor=1.1)
    assert control.update(100.0001, 0.0) == pytest.approx(1.1)


def test_a_cost_of_zero_relaxes_beta_by_one_step():
    assert BudgetController(100, 1.0, max_factor=2.0).update(0, 0.0) == 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"budget": -1}, "positive number"),
        ({"initial_beta": 0}, "cannot grow"),
        ({"gain": 0}, "gain > 0"),
        ({"slack": 1}, "slack < 1"),
        ({"min_factor": 1.0}, "1 < min_factor"),
        ({"min_beta": 1.0}, "min_beta <= initial_beta"),
    ],
)
def test_bad_budget_arguments_are_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        BudgetController(**({"budget": 1000, "initial_beta": 1e-6} | arguments))
