"""Lives in a package of its own."""

raise ImportError("hgq.hw is a package of its own: install it with `pip install hgq-hw` and write `import hgq_hw`")
