"""What the user writes: variables, blocks, costs, diagrams, training, pictures."""
