"""The decision card of a turn for a terminal."""

from collections.abc import Iterator

from dialog.builder.decision_card import CellChange, DecisionCard, UnderstoodCommand


def card_text(card: DecisionCard) -> str:
    """Return a card as lines: what was understood, what changed, which line of the file decided."""
    return "\n".join(_lines(card))


def _lines(card: DecisionCard) -> Iterator[str]:
    yield f"turn {card.turn}: {card.heard!r} (read by the {card.tracker or 'given'} tracker)"
    for command in card.understood:
        yield f"  understood  {command.text}{_doubt(command)}"
    for change in card.changes:
        yield _change(change)
    for notice in card.notices:
        yield f"  noticed     {notice}"
    for call in card.calls:
        yield f"  called      {call.text} = {call.outcome} {call.source}".rstrip()
        given = ", ".join(f"{name}: {source}" for name, source in call.provenance.items())
        if given:
            yield f"              arguments from {given}"
    for passage in card.passages:
        found = passage["answer"] or "nothing near enough"
        yield f"  searched    {passage['query']!r}: {found} (score {passage['score']:.2f})"
    second = f", which goes before {', '.join(card.lost)}" if card.lost else ""
    yield f"  rule        {card.rule}{second}"
    for act in card.acts:
        about = act.get("slot") or act.get("key")
        words = (act["name"], about, act.get("source"))
        yield f"  act         {' '.join(str(word) for word in words if word)}"
    if card.wording:
        yield f"  worded by   {card.wording}"
    if card.tokens_computed:
        yield f"  cost        {card.cost}"
    yield f"  said        {card.said}"


def _change(change: CellChange) -> str:
    """Return what became of a slot: another value, or the same with another standing."""
    is_other = change.before != change.after
    was = f" instead of {change.said_before}" if change.said_before and is_other else ""
    evidence = f", {change.evidence}" if change.evidence else ""
    return (
        f"  {'changed' if is_other else 'agreed':<12}{change.task}.{change.slot} is"
        f" {change.said_after or 'empty'}{was} ({change.status}{evidence}) {change.source}"
    )


def _doubt(command: UnderstoodCommand) -> str:
    """Return how sure a command is, where that is worth a word, and what followed from it."""
    parts = [f"p={command.p:.2f}"]
    if command.others:
        parts.append(f"not {command.others[0]}")
    if command.confirmation:
        cost = command.costs.get(command.confirmation)
        parts.append(command.confirmation + (f" (costs {cost:.2f} turns)" if cost else ""))
    return " " + ", ".join(parts)
