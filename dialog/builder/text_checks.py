"""Checks of texts: languages that are missing, numbers without plural, articles before names."""

import re
from collections.abc import Iterator

from dialog.bot.definition import BotDefinition, ReactionDefinition, TaskDefinition
from dialog.bot.dependencies import all_steps
from dialog.bot.problems import Problem
from dialog.bot.texts import Placeholder, Template, Texts
from dialog.bot.value_types import Kind
from dialog.builder.findings import error, warning

_NOUN = re.compile(r"\s([^\W\d_]{2,})")
_ARTICLE = {
    "en": re.compile(r"\b(an?)\s$", re.IGNORECASE),
    "de": re.compile(r"\b(eine[nmrs]?|ein|de[rmns]|die|das)\s$", re.IGNORECASE),
    "fr": re.compile(r"(?:\b(une?|le|la)\s|\b[ld]')$", re.IGNORECASE),
}
_NO_NOUNS = frozenset({
    "and", "or", "at", "on", "in", "to", "from", "for", "by", "per", "of", "is", "are", "until",
    "a", "an", "the", "with", "each", "und", "oder", "um", "am", "im", "bis", "von", "für", "pro",
    "ist", "mit", "der", "die", "das", "den", "je", "et", "ou", "la", "le", "les", "par", "de",
    "du", "pour", "est", "avec", "then", "will", "was",
})  # fmt: skip


def text_findings(bot: BotDefinition) -> Iterator[Problem]:
    """Yield what is wrong with texts."""
    for what, texts in texts_of(bot):
        yield from _languages(bot, what, texts)
        for locale, templates in texts.variants.items():
            for template in templates:
                yield from _plurals(what, locale, template)
                yield from _articles(what, locale, template)
    yield from _double_examples(bot)


def texts_of(bot: BotDefinition) -> Iterator[tuple[str, Texts]]:
    """Yield all texts of a bot with what they are."""
    found: list[tuple[str, Texts | None]] = [(f"say {k}", t) for k, t in bot.say.texts.items()]
    found += [(f"glossary {term}", texts) for term, texts in bot.glossary.items()]
    found += [(f"knowledge {k}", source.otherwise) for k, source in bot.knowledge.items()]
    found += [("out_of_scope", bot.behaviour.out_of_scope)]
    for task in bot.tasks.values():
        found += _of_task(task)
    yield from ((what, texts) for what, texts in found if texts is not None)


def _of_task(task: TaskDefinition) -> Iterator[tuple[str, Texts | None]]:
    name = task.name
    yield f"{name} needs", task.needs_otherwise
    yield f"{name} done", task.done
    yield f"{name} cancelled", task.cancelled
    yield f"{name} failed", _said(task.failed)
    yield f"{name} offer", task.offer.text if task.offer else None
    for slot in task.slots.values():
        if slot.carried_from is not None or slot.is_shared:
            continue
        for key, texts in (("ask", slot.ask), ("reask", slot.reask), ("why", slot.why)):
            yield f"{name}.{slot.name} {key}", texts
        yield f"{name}.{slot.name} on_fail", _said(slot.on_fail)
        for rule in slot.valid:
            yield f"{name}.{slot.name} valid", rule.otherwise
    for check in task.check:
        yield f"{name} check", _said(check.otherwise)
    for steps in (task.do, task.on_cancel):
        for _, step in all_steps(steps):
            yield f"{name} say", step.say
            yield f"{name} ask", step.ask
            yield f"{name} failed", _said(step.failed)


def _said(reaction: ReactionDefinition | None) -> Texts | None:
    return reaction.say if reaction is not None else None


def _languages(bot: BotDefinition, what: str, texts: Texts) -> Iterator[Problem]:
    missing = [locale for locale in bot.locales.all if locale not in texts.variants]
    if missing and len(bot.locales.all) > 1:
        given = ", ".join(texts.variants)
        yield warning(
            "language", texts.source,
            f"the text {what!r} is written in {given}, and not in {', '.join(missing)}",
            remedy="add it; until then users of that language read another one",
            example=f'{{{given.split(", ", maxsplit=1)[0]}: "…", {missing[0]}: "…"}}',
        )  # fmt: skip


def _plurals(what: str, locale: str, template: Template) -> Iterator[Problem]:
    for piece, after in zip(template.pieces, template.pieces[1:], strict=False):
        if not isinstance(piece, Placeholder) or not isinstance(after, str) or piece.forms:
            continue
        noun = _NOUN.match(after)
        is_number = piece.expression.type.kind is Kind.NUMBER and not piece.renderer
        if noun and is_number and noun[1].lower() not in _NO_NOUNS:
            one = f"{piece.expression.text}|{noun[1].removesuffix('s')}"
            yield warning(
                "plural", template.source,
                f"{what} ({locale}): with 1 this reads '1 {noun[1]}'",
                remedy="give both forms", example=f"{{{one}|{noun[1]}}}",
            )  # fmt: skip


def _articles(what: str, locale: str, template: Template) -> Iterator[Problem]:
    pattern = _ARTICLE.get(locale.partition("-")[0])
    for before, piece in zip(template.pieces, template.pieces[1:], strict=False):
        if not isinstance(before, str) or not isinstance(piece, Placeholder) or pattern is None:
            continue
        is_word = piece.expression.type.kind in {Kind.TEXT, Kind.ENTITY}
        found = pattern.search(before)
        if found and is_word:
            yield warning(
                "article", template.source,
                f"{what} ({locale}): the article {found[0].strip()!r} may not fit what stands for"
                f" {{{piece.expression.text}}}",
                remedy="word it without an article before the value",
            )  # fmt: skip


def _double_examples(bot: BotDefinition) -> Iterator[Problem]:
    seen: dict[str, TaskDefinition] = {}
    for task in bot.tasks.values():
        for text in task.examples:
            form = " ".join(text.lower().split())
            other = seen.setdefault(form, task)
            if other is not task:
                yield error(
                    "contradiction", task.source,
                    f"{text!r} is an example of {task.name} and of {other.name} at {other.source}",
                    remedy="keep it in one of the two, and put it under not_examples in the other",
                )  # fmt: skip
        for text in task.not_examples:
            if text in task.examples:
                yield error(
                    "contradiction", task.source,
                    f"{text!r} is an example of {task.name} and one that it is not",
                    remedy="remove one of the two",
                )  # fmt: skip
