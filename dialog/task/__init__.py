"""One turn of a task-oriented conversation, as a fold over events and a pure decision."""
