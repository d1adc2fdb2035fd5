"""Answers to questions in the middle of a task, in the words of a bot's own documents."""
