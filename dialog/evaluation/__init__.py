"""How well dialogues go: readers of public corpora, metrics in their exact definitions, reports."""
