"""The `system_fingerprint` of answers: a name that changes with whatever may change their words.

Two answers to one seeded request may differ only where this does, or where it names the mode
`fast`, in which the tokens may depend on what else was computed in the same batch.
"""

import hashlib

from api.application import Application


def system_fingerprint(application: Application) -> str:
    """Return `fp_<digest>`, and behind it the engine's mode of determinism, if it has an engine.

    The digest is of both models, the weights and the arithmetic that they are computed with.
    """
    parts = [application.chat_model.name, application.embedder.fingerprint]
    if application.engine is None:
        return f"fp_{_digest(parts)}"
    state = application.engine.state()
    parts += [state.fingerprint, state.kernels, str(state.context_size), state.determinism]
    return f"fp_{_digest(parts)}_{state.determinism}"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
