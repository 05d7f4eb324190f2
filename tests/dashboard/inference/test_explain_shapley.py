"""Shapley values: against enumeration of all orders, additive to the last digit, text columns included."""

from itertools import permutations

import numpy as np
import pytest

from dashboard.inference.explain_shapley import shapley

CHANCE = np.random.default_rng(4)


def worth(tensors):
    """Not additive: products, a threshold, a text."""
    a, b, c = (tensors[name].ravel().astype(float) for name in "abc")
    town = (tensors["town"].ravel() == "Rome").astype(float)
    return a * b + np.where(c > 0.5, 2.0, -1.0) * town + 0.3 * a


def rows(n):
    """Random rows of three numbers and a text."""
    numbers = {name: CHANCE.normal(size=(n, 1)) for name in "abc"}
    return numbers | {"town": CHANCE.choice(["Rome", "Oslo"], size=(n, 1)).astype(object)}


def enumerated(sample, background):
    """The definition: the mean gain of a column over all orders and all background rows."""
    names, gains = list(sample), dict.fromkeys(sample, 0.0)
    orders = list(permutations(names))
    n = len(background["a"])
    for order in orders:
        for at in range(n):
            now = {name: background[name][at : at + 1].copy() for name in names}
            before = worth(now)[0]
            for name in order:
                now[name] = sample[name]
                after = worth(now)[0]
                gains[name] += (after - before) / len(orders) / n
                before = after
    return np.array([gains[name] for name in names])


def test_the_exact_values_are_those_of_all_orders():
    sample, background = rows(1), rows(7)
    found = shapley(worth, sample, background)
    assert found.exact
    np.testing.assert_allclose(found.effects, enumerated(sample, background), atol=1e-12)
    assert found.base == pytest.approx(worth(background).mean())
    assert found.effects.sum() == pytest.approx(worth(sample)[0] - found.base)


def test_sampled_values_of_a_linear_function_are_exact_and_add_up():
    d, weights = 25, np.linspace(-1, 2, 25)
    names = [f"x{i}" for i in range(d)]

    def linear(tensors):
        return np.concatenate([tensors[name] for name in names], axis=1) @ weights

    sample, background = ({name: CHANCE.normal(size=(n, 1)) for name in names} for n in (1, 20))
    found = shapley(linear, sample, background)
    assert not found.exact
    expected = [w * (sample[n][0, 0] - background[n].mean()) for w, n in zip(weights, names, strict=True)]
    np.testing.assert_allclose(found.effects, expected, atol=1e-9)


def test_sampled_values_of_any_function_add_up_and_lie_near_the_exact_ones(monkeypatch):
    sample, background = rows(1), rows(30)
    exact = shapley(worth, sample, background)
    monkeypatch.setattr("dashboard.inference.explain_shapley.EXACT", 0)
    found = shapley(worth, sample, background)
    assert not found.exact
    assert found.effects.sum() == pytest.approx(worth(sample)[0] - found.base, abs=1e-9)
    assert found.base == pytest.approx(exact.base, abs=1e-9)
    assert (np.abs(found.effects - exact.effects) <= 4 * found.errors + 1e-9).all()
