"""Programs as a user holds them: inputs, arrays, and what executes a step."""
