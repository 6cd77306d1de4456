"""What databases say and take, whoever asks them: errors by code, a query by its grammar, what a driver cannot read."""
