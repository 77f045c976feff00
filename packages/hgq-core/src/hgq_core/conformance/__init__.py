"""The conformance suite: what an implementation of HGQ has to compute. It takes the implementation from outside.

``pytest --pyargs hgq_core.conformance -p hgq_core.conformance.plugin --backend NAME`` judges the entry point NAME of
the group ``hgq.backends``. Needs the extra ``hgq-core[conformance]``.
"""
