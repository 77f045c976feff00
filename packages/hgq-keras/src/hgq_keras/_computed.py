"""Properties that compute are left out of ``dir()`` of an object, so that saving and loading does not compute them.

Keras finds what is inside a layer by reading everything that ``dir(layer)`` lists, each time that a model is saved or
loaded. A property that quantizes a kernel would do so each time, and on JAX compile it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ComputedProperties", "computed"]

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__hgq_computed__"


def computed(function: Callable[P, R]) -> Callable[P, R]:
    """Marks the function of a property that computes instead of naming a part; under ``@property``."""
    setattr(function, _MARK, True)
    return function


class ComputedProperties:
    """Leaves properties that are marked as `computed` out of ``dir()`` of an object; that of its class has them.

    Completion in Python, IPython and editors reads both.

    >>> class Square(ComputedProperties):
    ...     side = 3
    ...
    ...     @property
    ...     @computed
    ...     def area(self):
    ...         return self.side**2
    >>> "area" in dir(Square()), "area" in dir(Square), Square().area
    (False, True, 9)
    """

    def __dir__(self) -> Iterable[str]:
        """The attributes that only name what is there."""
        kind = type(self)
        return [name for name in super().__dir__() if not _computes(getattr(kind, name, None))]


def _computes(attribute: object) -> bool:
    return isinstance(attribute, property) and getattr(attribute.fget, _MARK, False)
