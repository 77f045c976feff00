"""The file: what goes in comes out, and what is not whole is refused."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.errors import FileError, GraphError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, load, run, save
from hgq_core.graph import ops as op
from hgq_core.graph.save import SCHEMA, content_hash


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(example("scan")[0], tmp_path_factory.mktemp("saved") / "graph.hgq.npz")


@pytest.mark.parametrize("name", GRAPHS)
def test_load_gives_what_was_saved_and_a_second_save_the_same_bytes(name, tmp_path):
    graph, inputs = example(name)
    first = save(graph, tmp_path / "first.hgq.npz")
    loaded = load(first)
    assert loaded == graph
    assert content_hash(loaded) == content_hash(graph)
    assert save(loaded, tmp_path / "second.hgq.npz").read_bytes() == first.read_bytes()
    np.testing.assert_array_equal(run(loaded, *inputs), run(graph, *inputs))


def test_different_graphs_have_different_hashes():
    assert len({content_hash(example(name)[0]) for name in GRAPHS}) == len(GRAPHS)


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(saved, tmp_path_factory, position, bit):
    content = bytearray(saved.read_bytes())
    content[position % len(content)] ^= 1 << bit
    damaged = tmp_path_factory.mktemp("flipped") / "graph.hgq.npz"
    damaged.write_bytes(content)
    try:
        loaded = load(damaged)
    except FileError as error:
        assert "graph.hgq.npz" in str(error)  # noqa: PT017  (most bits, but not all, carry the content)
    else:
        assert loaded == example("scan")[0]


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_truncated_file_is_refused(saved, tmp_path, keep):
    path = tmp_path / "graph.hgq.npz"
    path.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(FileError, match="is damaged or is no HGQ graph file"):
        load(path)


def rewritten(saved, path, change):
    """The file with another document; array contents stay."""
    with np.load(saved) as file:
        content = {name: file[name] for name in file.files}
    document = json.loads(content["document"].tobytes())
    change(document, content)
    content["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d, _: d.update(schema=SCHEMA + 1), f"has schema {SCHEMA + 1}, this version reads up to {SCHEMA}"),
        (lambda d, _: d.update(schema="1"), "has schema 1"),
        (lambda d, _: d["graph"].update(outputs=["x"]), "does not match its hash"),
        (lambda _, c: c.update(array_0=c["array_0"] + 1), "does not match its hash"),
        (lambda _, c: c.update(extra=np.zeros(1)), "does not match its hash"),
        (lambda d, _: d.pop("hash"), "is no HGQ graph file"),
    ],
)
def test_a_file_that_was_edited_is_refused(saved, tmp_path, change, says):
    with pytest.raises(FileError, match=says):
        load(rewritten(saved, tmp_path / "graph.hgq.npz", change))


def test_foreign_files_are_refused(tmp_path):
    np.savez(tmp_path / "foreign.hgq.npz", weights=np.ones(3))
    (tmp_path / "text.hgq.npz").write_text("hello")
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "pickle.hgq.npz", "w") as archive:
        archive.writestr("document.npy", buffer.getvalue())
    for name in ("foreign", "text", "pickle"):
        with pytest.raises(FileError, match="is no HGQ graph file"):
            load(tmp_path / f"{name}.hgq.npz")
    with pytest.raises(FileError, match="there is no graph file"):
        load(tmp_path / "absent.hgq.npz")


def test_a_name_that_does_not_end_as_graphs_do_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"expected a name that ends in '\.hgq\.npz'"):
        save(example("dense")[0], tmp_path / "graph.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = save(example("dense")[0], tmp_path / "graph.hgq.npz")
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(FileError, match="cannot be written: disk full"):
        save(example("scan")[0], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_graph_is_not_saved_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match=r"no folder .*absent"):
        save(example(next(iter(GRAPHS)))[0], tmp_path / "absent" / "graph.hgq.npz")


@pytest.mark.parametrize("schema", [0, -5, True, "1", 99])
def test_a_schema_that_this_version_does_not_know_is_refused(saved, tmp_path, schema):
    with np.load(saved) as file:
        content = {name: file[name] for name in file.files}
    document = json.loads(content.pop("document").tobytes()) | {"schema": schema}
    np.savez(tmp_path / "graph.hgq.npz", document=np.frombuffer(json.dumps(document).encode(), np.uint8), **content)
    with pytest.raises(FileError, match="schema"):
        load(tmp_path / "graph.hgq.npz")


@pytest.mark.parametrize("nodes", [[3], [[]], [{"class": "Node"}]])
def test_a_document_that_describes_no_graph_is_refused_although_its_hash_is_right(tmp_path, nodes):
    body = {"class": "Graph", "nodes": nodes, "outputs": []}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    document = json.dumps({"schema": 1, "hash": digest, "graph": body}).encode()
    np.savez(tmp_path / "graph.hgq.npz", document=np.frombuffer(document, np.uint8))
    with pytest.raises(FileError, match="does not describe a valid graph"):
        load(tmp_path / "graph.hgq.npz")


def schema_of(path):
    with np.load(path) as file:
        return json.loads(file["document"].tobytes())["schema"]


@pytest.mark.parametrize("name", ["dense", "scan"])
def test_layers_that_were_never_calibrated_are_part_of_the_graph_and_of_its_file(name, tmp_path):
    graph, _ = example(name)
    marked = Graph(graph.nodes, graph.outputs, ("encoder", "decoder"))
    assert graph.uncalibrated == ()
    assert marked != graph
    assert content_hash(marked) != content_hash(graph)
    loaded = load(save(marked, tmp_path / "marked.hgq.npz"))
    assert loaded == marked
    assert loaded.uncalibrated == ("encoder", "decoder")


def test_a_graph_without_such_layers_is_written_in_the_first_version_as_ever(tmp_path):
    graph, _ = example("dense")
    path = save(graph, tmp_path / "graph.hgq.npz")
    assert schema_of(path) == 1
    with np.load(path) as file:
        assert b"uncalibrated" not in file["document"].tobytes()
    assert schema_of(save(Graph(graph.nodes, graph.outputs, ("d",)), tmp_path / "marked.hgq.npz")) == 2


def test_the_body_of_a_recurrence_counts_for_the_version_of_its_file(tmp_path):
    inner = GraphBuilder()
    x = inner.add(op.Input((2,), Formats.of(1, 2, 1)))
    body = inner.build([x, inner.add(op.Input((2,), Formats.of(1, 2, 1)))], ["cell"])
    outer = GraphBuilder()
    sequence, state = (outer.add(op.Input(shape, Formats.of(1, 2, 1))) for shape in ((3, 2), (2,)))
    graph = outer.build([outer.add(op.Scan(body, 3), sequence, state)])
    path = save(graph, tmp_path / "graph.hgq.npz")
    assert schema_of(path) == 2
    assert load(path) == graph


@pytest.mark.parametrize("given", [None, (1, 2), "graph", {}])
def test_only_graphs_are_saved_and_the_old_file_stays(tmp_path, given):
    path = save(example("dense")[0], tmp_path / "graph.hgq.npz")
    before = path.read_bytes()
    with pytest.raises(GraphError, match=rf"received a {type(given).__name__}, expected a Graph"):
        save(given, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_graph_file(tmp_path):
    (tmp_path / "models.hgq.npz").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        save(example("dense")[0], tmp_path / "models.hgq.npz")
    with pytest.raises(FileError, match="folder"):
        save(example("dense")[0], tmp_path)


def test_a_name_that_the_system_does_not_take_is_one_short_sentence(tmp_path):
    with pytest.raises(FileError, match="choose another name") as caught:
        save(example("dense")[0], tmp_path / ("n" * 3000 + ".hgq.npz"))
    assert len(str(caught.value)) < 300
    longest = tmp_path / ("n" * 247 + ".hgq.npz")  # 255 characters, the most that a file system takes
    assert load(save(example("dense")[0], longest)) == example("dense")[0]


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused(path):
    for call in (lambda: save(example("dense")[0], path), lambda: load(path)):
        with pytest.raises(FileError, match=r"expected a path such as 'model\.hgq\.npz'"):
            call()


def signed(saved, path, change):
    """The file with its graph changed and the hash made right again: what a foreign program could have written."""

    def sign(document, content):
        change(document["graph"])
        digest = hashlib.sha256(json.dumps(document["graph"], sort_keys=True, separators=(",", ":")).encode())
        for number in range(len(content) - 1):
            array = content[f"array_{number}"]
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        document["hash"] = digest.hexdigest()

    return rewritten(saved, path, sign)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ebops_factor": {"float": "0x1p99999"}}, "too large"),
        ({"ebops_factor": {"float": "nan"}}, "expected float"),
        ({"ebops_factor": {"float": "-0x1p0"}}, "at least 0"),
        ({"ebops_factor": [1]}, "expected float"),
        ({"ebops_factor": True}, "expected float"),
        ({"label": 3}, "label is 3, expected str"),
        ({"composite": None}, "expected str"),
        ({"inputs": "x"}, "inputs is 'x'"),
        ({"shape": [2.5]}, "shape"),
        ({"shape": [{"float": "0x1p1"}]}, "shape"),
        ({"colour": "red"}, "no field 'colour'"),
    ],
    ids=str,
)
def test_a_field_of_a_node_holds_what_it_should(saved, tmp_path, change, says):
    path = signed(saved, tmp_path / "graph.hgq.npz", lambda graph: graph["nodes"][-1].update(change))
    with pytest.raises(FileError, match=says):
        load(path)


ODD = [
    None,
    True,
    -1,
    10**30,
    "word",
    [],
    [1],
    {},
    {"float": "nan"},
    {"float": "0x1p99999"},
    {"array": 0},
    {"array": 99},
]


def places(value, path=()):
    """Where every field of a document is."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name != "class":
                yield (*path, name)
                yield from places(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from places(part, (*path, number))


@pytest.mark.parametrize("name", GRAPHS)
def test_whatever_a_field_of_a_file_holds_it_is_refused_or_gives_a_graph(name, tmp_path):
    saved = save(example(name)[0], tmp_path / "saved.hgq.npz")
    with np.load(saved) as file:
        body = json.loads(file["document"].tobytes())["graph"]
    rng = np.random.default_rng(0)
    every = list(places(body))
    for number in rng.permutation(len(every))[:60]:
        place = every[number]
        odd = ODD[rng.integers(len(ODD))]

        def change(graph, place=place, odd=odd):
            for step in place[:-1]:
                graph = graph[step]
            graph[place[-1]] = odd

        try:
            assert isinstance(load(signed(saved, tmp_path / "odd.hgq.npz", change)), Graph)
        except FileError as error:
            assert "does not describe a valid graph" in str(error)  # noqa: PT017  (some values are valid)


def test_a_text_is_no_graph_and_no_pickle_to_be_trusted(tmp_path):
    (tmp_path / "notes.hgq.npz").write_text("bread, milk")
    with pytest.raises(FileError) as caught:
        load(tmp_path / "notes.hgq.npz")
    assert str(caught.value).count("damaged") == 1
    assert str(caught.value).endswith("is no HGQ graph file (no archive of arrays); export the graph again")
