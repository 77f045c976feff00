"""Every public name of HGQ2 0.2.0 is there under `hgq`, or has a reason why not.

`data/hgq2-0.2.0-names.txt` lists them by module, with the signature where the name is first. `python
tests/test_peer_names.py` writes the page of names anew.
"""

import ast
import importlib
import importlib.util
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/api/hgq2-names.md"
TABLE = Path(__file__).parent / "data/hgq2-0.2.0-names.txt"

_LAYER = "`hgq.layers.QLayer` is the one base class: a layer of one's own declares what it computes"
_OPEN = "`hgq.layers.QLayer` with a `declaration()`; there is no base class for this family alone"
_QUANTIZER = "`hgq.quantizer.Quantizer` is one class; its type is `q.q_type`, its format `q.quantizer`"
_WIDTHS = "`homogeneous_axis`, `heterogeneous_axis` and `blocks` of `QuantizerConfig` say which elements share widths"
_TYPED = "the parameters of a type are the keys of `QuantizerConfig(q_type)`"
_INTERNAL = "an inner helper of HGQ2 that does nothing for users"
_QKERAS = "a package of this name would hide the real QKeras, and that of HGQ2 changes `hgq.layers` when it is imported"
REASONS = {
    "hgq.quantizer.internal.BitwidthMapperBase": _WIDTHS,
    "hgq.quantizer.internal.DefaultBitwidthMapper": _WIDTHS,
    "hgq.quantizer.internal.TrainableQuantizerBase": _QUANTIZER,
    "hgq.quantizer.internal.FixedPointQuantizerBase": _QUANTIZER,
    "hgq.quantizer.internal.numbers": _INTERNAL,
    "hgq.quantizer.config.KBIConfig": _TYPED,
    "hgq.quantizer.config.KIFConfig": _TYPED,
    "hgq.quantizer.config.FloatConfig": _TYPED,
    "hgq.quantizer.config.all_quantizer_keys": _TYPED,
    "hgq.layers.QLayerBase": _LAYER,
    "hgq.layers.QLayerBaseSingleInput": _LAYER,
    "hgq.layers.QLayerBaseMultiInputs": _LAYER,
    "hgq.layers.core.base.QLayerBase": _LAYER,
    "hgq.layers.core.base.QLayerBaseSingleInput": _LAYER,
    "hgq.layers.core.base.QLayerBaseMultiInputs": _LAYER,
    "hgq.layers.core.base.MultipleQuantizers": "`layer.iqs` is a tuple of quantizers",
    "hgq.layers.conv.QBaseConv": _OPEN,
    "hgq.layers.pooling.QBasePooling": _OPEN,
    "hgq.layers.table.QConvTBase": _OPEN,
    "hgq.layers.rnn.simple_rnn.QRNN": _OPEN,
    "hgq.utils.minmax_trace.TrainingFlagWrapper": "`hgq_keras.calibrating(model)` is a block in which quantizers trace",
    "hgq.utils.misc.gather_vars_to_kwargs": _INTERNAL,
    "hgq.utils.misc.numbers": _INTERNAL,
    "hgq.utils.singleton.Singleton": _INTERNAL,
    "qkeras.quantized_bits": _QKERAS,
    "qkeras.quantized_relu": _QKERAS,
    "qkeras.get_quantizer": _QKERAS,
    "qkeras.initializers.QInitializer": _QKERAS,
}
"""Names that are deliberately absent, and what does the same."""
MISSING = frozenset(
    [
        "hgq.layers.attn.QSALTAttention",
    ]
)
"""Names that are not there yet; one that is has to leave this list."""


def read_table():
    """``module.name`` and its signature, "" where it was given before."""
    module, table = "", {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        else:
            name, bracket, rest = line.partition("(")
            table[f"{module}.{name}"] = bracket + rest
    return table


NAMES = read_table()


def found(path):
    """The object that code for HGQ2 imports under this path, None if there is none; of `qkeras`, nothing is ours."""
    module, _, name = path.rpartition(".")
    if not (module == "hgq" or module.startswith("hgq.")):
        return None
    outer = ""
    for part in module.split("."):
        outer = f"{outer}.{part}".lstrip(".")
        if importlib.util.find_spec(outer) is None:
            return None
    return getattr(importlib.import_module(module), name, None)


def arguments(signature):
    """Names and defaults, as text, of a written signature."""
    # Defaults that are objects, such as MinMax(...), are calls: they parse as well.
    node = ast.parse(f"def f{signature}: pass").body[0].args
    defaults = [None] * (len(node.args) - len(node.defaults)) + [plain(ast.unparse(d)) for d in node.defaults]
    keywords = {a.arg: d and plain(ast.unparse(d)) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True)}
    return dict(zip((a.arg for a in node.args), defaults, strict=True)) | keywords


def plain(default):
    """A default as text, an empty tuple and infinity as Python's own words."""
    return re.sub(r"^float\('inf'\)$", "inf", default)


def own_arguments(function):
    """The same of one of our objects."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: None if p.default is p.empty else plain(repr(p.default))
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }


def differences(path):
    """What of the arguments is not as in HGQ2, in words."""
    signature = NAMES[path]
    if not signature:
        return ""
    theirs, ours = arguments(signature), own_arguments(found(path))
    # The base takes the name.
    missing = [name for name in theirs if name not in ours and name != "name"]
    defaults = [
        f"`{name}={ours[name]}`, not `{default}`"
        for name, default in theirs.items()
        if name in ours and ours[name] != default and not numerically_equal(ours[name], default)
    ]
    parameters = inspect.signature(found(path)).parameters
    keyword = [name for name in theirs if name in ours and parameters[name].kind is inspect.Parameter.KEYWORD_ONLY]
    known = [name for name in ours if name in theirs and name not in keyword]
    order = known != [name for name in theirs if name in known]
    parts = [f"no {', '.join(f'`{name}`' for name in missing)}"] if missing else []
    parts += [f"default {', '.join(defaults)}"] if defaults else []
    parts += [f"by keyword only {', '.join(f'`{name}`' for name in keyword)}"] if keyword else []
    return "; ".join([*parts, *(["another order"] if order else [])])


def numerically_equal(ours, theirs):
    try:
        return float(ours) == float(theirs)
    except (TypeError, ValueError):
        return False


def page():
    """The page of names."""
    absent = {path for path in NAMES if found(path) is None}
    here = len(NAMES) - len(absent)
    lines = [
        "# Names of HGQ2",
        "",
        f"What code written for HGQ2 0.2.0 imports: {len(NAMES)} names by module, {here} of them here under its path.",
        "`python tests/test_peer_names.py` writes this page from the installed packages.",
        "Arguments are compared where a name is first; every layer also takes the arguments of its base by keyword.",
    ]
    for module in dict.fromkeys(path.rpartition(".")[0] for path in NAMES):
        lines += ["", f"## {module}", "", "| name | here | arguments that differ |", "|---|---|---|"]
        for path in NAMES:
            if path.rpartition(".")[0] == module:
                state = "yes" if path not in absent else REASONS.get(path, "not yet")
                lines.append(
                    f"| `{path.rpartition('.')[2]}` | {state} | {'' if path in absent else differences(path)} |"
                )
    return "\n".join([*lines, *counts()]) + "\n"


def counts():
    """Conformance cases of each kind of layer."""
    from hgq_core.conformance.cases_layers import NAMES as CASES
    from hgq_core.conformance.cases_layers import case

    number = Counter(kind for name in CASES for kind in {layer.kind for layer in case(name).layers})
    head = [
        "",
        "## Conformance cases per layer",
        "",
        "Each runs on every backend.",
        "",
        "| kind | cases |",
        "|---|---|",
    ]
    return [*head, *(f"| `{kind}` | {number[kind]} |" for kind in sorted(number))]


@pytest.mark.parametrize("path", NAMES)
def test_every_name_is_there_or_has_a_reason(path):
    if found(path) is None:
        assert path in REASONS or path in MISSING, f"{path}: neither importable nor listed with a reason"
    else:
        assert path not in REASONS, f"{path} is there: take it off REASONS"
        assert path not in MISSING, f"{path} is there: take it off MISSING"


def test_the_lists_hold_names_of_the_table_only():
    assert (REASONS.keys() | MISSING) <= NAMES.keys()


def test_a_name_that_nobody_has_is_found_missing():
    assert found("hgq.layers.QNothing") is None
    assert found("hgq.nothing.QDense") is None
    assert found("hgq.layers.QDense") is not None


def test_the_page_is_that_of_the_code():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/test_peer_names.py"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
