"""``python -m hgq_hw`` is the command ``hgq``."""

from hgq_hw.cli import app

if __name__ == "__main__":
    app(prog_name="hgq")
