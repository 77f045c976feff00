"""`hgq` holds names only, and they are those of hgq_keras."""

import ast
import importlib
import importlib.metadata
import warnings
from pathlib import Path

import pytest

import hgq
import hgq_keras
from hgq_core.errors import HGQWarning
from hgq_keras import _peer

HOME = Path(hgq.__file__).parent
FILES = sorted(HOME.rglob("*.py"))
ELSEWHERE = {"torch": "hgq-torch", "hw": "hgq-hw"}
MODULES = [
    ".".join(["hgq", *file.relative_to(HOME).with_suffix("").parts]).removesuffix(".__init__")
    for file in FILES
    if file.stem not in ELSEWHERE
]


def is_declaration(node):
    """A docstring, an import, or `__all__`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets] == ["__all__"] and isinstance(node.value, ast.List)
    return isinstance(node, ast.Import | ast.ImportFrom)


def is_refusal(node):
    return isinstance(node, ast.Raise) and node.exc.func.id == "ImportError"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOME)))
def test_the_facade_holds_no_logic(file):
    body = ast.parse(file.read_text()).body
    allowed = (lambda n: is_declaration(n) or is_refusal(n)) if file.stem in ELSEWHERE else is_declaration
    assert [ast.unparse(node) for node in body if not allowed(node)] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there_and_comes_from_hgq_keras(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        home = getattr(getattr(module, public), "__module__", None) or getattr(module, public, "hgq_keras")
        home = getattr(home, "__name__", home)
        assert str(home).startswith(("hgq_keras", "hgq_core", "hgq.")) or public == "__version__", f"{public}: {home}"


def test_the_version_is_that_of_the_distribution():
    assert hgq.__version__ == hgq_keras.__version__ == importlib.metadata.version("hgq-keras")


def test_layers_have_both_names():
    from hgq import layers

    quantized = [name for name in layers.__all__ if name.startswith("Q") and name not in ("QLayer", "Quantizer")]
    assert len(quantized) >= 9
    for name in quantized:
        assert getattr(layers, name) is getattr(layers, name[1:])


@pytest.mark.parametrize(("module", "distribution"), ELSEWHERE.items())
def test_the_other_packages_are_named(module, distribution):
    with pytest.raises(ImportError, match=f"pip install {distribution}.*import hgq_{module}"):
        importlib.import_module(f"hgq.{module}")


def test_the_peer_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(_peer, "version", lambda name: "0.2.0")
    with pytest.warns(HGQWarning, match=r"HGQ2 0\.2\.0 is installed beside hgq-keras.*pip uninstall HGQ2"):
        _peer.warn_if_installed()


def test_silence_without_the_peer():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _peer.warn_if_installed("no-such-distribution")
