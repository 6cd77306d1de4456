"""What databases say and take, whoever asks them: their errors by code, and a query by its grammar."""
