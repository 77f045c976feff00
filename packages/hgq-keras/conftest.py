"""What pytest leaves alone here."""  # noqa: INP001

collect_ignore = ["src/hgq/hw.py", "src/hgq/torch.py"]  # importing them is an error, and that is all they do
