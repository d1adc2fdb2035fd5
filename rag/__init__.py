"""Documents in, grounded and cited passages out."""
