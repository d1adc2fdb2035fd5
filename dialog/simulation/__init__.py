"""Users compiled from a bot file: goals, agendas, words, noise; judged by state and by calls."""
