"""Amounts of money: a decimal and a currency, never a float."""

import re
from dataclasses import dataclass
from decimal import Decimal

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.slot_types.bounds import size_violation
from dialog.slot_types.currencies import (
    CENTS,
    CURRENCY_CODES,
    NAMES,
    SYMBOL_OF,
    SYMBOLS,
    WITHOUT_CENTS,
    currency_of_locale,
)
from dialog.slot_types.moments import Money, plain
from dialog.slot_types.quantities import FoundNumber, find_numbers, say_number
from dialog.slot_types.words import is_negated, language_of

_AFTER = re.compile(r"[\s\u00a0\u202f]*(?:([€$£¥₹])|([^\W\d_]{2,8})\b)")
_BEFORE = re.compile(r"(?:([€$£¥₹])|\b([A-Za-z]{3}))[\s\u00a0]*$")
_JOINT = re.compile(r"[\s\u00a0]*(?:and|und|et)?[\s\u00a0]*", re.IGNORECASE)
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyType:
    """An amount; `currency` is meant where none is named, "" for the locale's."""

    currency: str = ""
    name: str = "money"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the amounts; a bare number only where an amount is asked for."""
        numbers = find_numbers(text, context.locale, is_asked=context.is_asked)
        found: list[Candidate] = []
        taken = 0
        for i, number in enumerate(numbers):
            if number.start < taken:
                continue
            following = numbers[i + 1] if i + 1 < len(numbers) else None
            candidate = self._candidate(text, number, following, context)
            if candidate:
                found.append(candidate)
                taken = candidate.end
        return found

    def _candidate(
        self, text: str, number: FoundNumber, following: FoundNumber | None, context: TextContext
    ) -> Candidate | None:
        start, end, amount, p = number.start, number.end, number.value, number.p
        default = self.currency or currency_of_locale(context.locale)
        before, after = _BEFORE.search(text[:start]), _AFTER.match(text, end)
        code = self._code(before, default) if before else ""
        if code and before:
            start = before.start()
        elif after and (code := self._code(after, default)):
            end = after.end()
            amount, end = _with_cents(text, amount, end, following)
        elif after and (after[2] or "").lower() in CENTS:
            code, end, amount = default, after.end(), amount / 100
        elif context.is_asked:
            code, p = default, 0.8 * p
        else:
            return None
        money = Money(amount, code)
        return Candidate(
            start=start,
            end=end,
            value=_json(money),
            p=p,
            ambiguous_with=() if number.other is None else (_json(Money(number.other, code)),),
            violation=_violation(money, context),
            is_negated=is_negated(text, start),
        )

    def _code(self, found: re.Match[str], default: str) -> str:
        symbol, word = found[1], (found[2] or "")
        if symbol:
            code = SYMBOLS[symbol]
            return default if code == "USD" and default in _DOLLARS else code
        if word.upper() in CURRENCY_CODES and (word.isupper() or word.lower() in NAMES):
            return word.upper()
        code = NAMES.get(word.lower(), "")
        return default if code == "USD" and default in _DOLLARS else code

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "€12.50" in English, "12,50 €" elsewhere."""
        money = Money.read(value)
        places = 0 if money.currency in WITHOUT_CENTS else 2
        digits = say_number(abs(money.amount), locale, least_places=places)
        minus = "-" if money.amount < 0 else ""
        symbol = SYMBOL_OF.get(money.currency)
        if language_of(locale) == "en":
            return f"{minus}{symbol}{digits}" if symbol else f"{money.currency} {minus}{digits}"
        return f"{minus}{digits}\u00a0{symbol or money.currency}"

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the amount and how it breaks its bounds; a bare number takes the default currency.

        Raises:
            ValueError: it is no amount.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            default = self.currency or currency_of_locale(context.locale)
            value = {"amount": plain(Decimal(repr(value))), "currency": default}
        elif isinstance(value, str):
            found = self.parse(value, context)
            if len(found) != 1:
                raise ValueError(f"{value!r} is no amount of money; write 5 EUR")
            value = found[0].value
        money = Money.read(value)
        if money.currency not in CURRENCY_CODES:
            raise ValueError(f"no currency has the code {money.currency!r}")
        return _json(money), _violation(money, context)


def _with_cents(
    text: str, amount: Decimal, end: int, following: FoundNumber | None
) -> tuple[Decimal, int]:
    """Take "5 euros 50" and "five pounds and ten pence" as one amount."""
    if following is None or amount != amount.to_integral_value():
        return amount, end
    joint = _JOINT.fullmatch(text, end, following.start)
    if joint is None or not 0 < following.value < 100:
        return amount, end
    after = _AFTER.match(text, following.end)
    if after and (after[2] or "").lower() in CENTS:
        return amount + following.value / 100, after.end()
    has_joint = bool(joint[0].strip())
    is_two_digits = following.end - following.start == 2 or following.is_word
    if has_joint or not is_two_digits or after:
        return amount, end
    return amount + following.value / 100, following.end


def _violation(money: Money, context: TextContext) -> Violation | None:
    def amount_of(bound: JsonValue) -> Decimal:
        if isinstance(bound, int | float):
            return Decimal(repr(bound))
        read = Money.read(bound)
        return read.amount if read.currency == money.currency else money.amount

    return size_violation(money.amount, context.bounds, amount_of)


def _json(money: Money) -> JsonValue:
    if money.currency in WITHOUT_CENTS:
        return {"amount": plain(money.amount), "currency": money.currency}
    return money.to_json()
