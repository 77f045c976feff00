"""Training steps and costs of patterns of steps as single autograd nodes, equal to the composed ones bit for bit."""
