"""Lives in a package of its own."""

raise ImportError(
    "hgq.torch is a package of its own: install it with `pip install hgq-torch` and write `import hgq_torch`"
)
