"""Currencies: codes, symbols, names, and those that have no smaller unit."""

CURRENCY_CODES = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BGN",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "EGP",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "ISK",
        "JPY",
        "KES",
        "KRW",
        "MAD",
        "MXN",
        "MYR",
        "NGN",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PLN",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "UAH",
        "USD",
        "VND",
        "ZAR",
    ]
)

WITHOUT_CENTS = frozenset({"JPY", "KRW", "CLP", "VND", "ISK"})

SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR"}
SYMBOL_OF = {code: symbol for symbol, code in SYMBOLS.items()}

NAMES = {
    **dict.fromkeys(("euro", "euros", "eur"), "EUR"),
    **dict.fromkeys(("dollar", "dollars", "buck", "bucks", "us dollars"), "USD"),
    **dict.fromkeys(("pound", "pounds", "quid", "pfund", "livre", "livres", "sterling"), "GBP"),
    **dict.fromkeys(("franc", "francs", "franken", "sfr", "fr"), "CHF"),
    **dict.fromkeys(("yen", "yens"), "JPY"),
    **dict.fromkeys(("rupee", "rupees", "rupien", "roupie", "roupies"), "INR"),
    **dict.fromkeys(("krone", "kroner", "kronen"), "DKK"),
    **dict.fromkeys(("zloty", "zlotys"), "PLN"),
}

CENTS = frozenset({"cent", "cents", "penny", "pence", "rappen", "centime", "centimes"})

OF_REGION = {
    "US": "USD", "GB": "GBP", "CA": "CAD", "AU": "AUD", "NZ": "NZD", "IN": "INR", "CH": "CHF",
    "LI": "CHF", "IE": "EUR",
}  # fmt: skip
OF_LANGUAGE = {"en": "USD", "de": "EUR", "fr": "EUR"}


def currency_of_locale(locale: str) -> str:
    """Return the currency that is meant where none is named."""
    language, _, region = locale.partition("-")
    return OF_REGION.get(region) or OF_LANGUAGE.get(language, "EUR")
