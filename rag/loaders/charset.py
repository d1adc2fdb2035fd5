"""Which encoding a text is in: byte order mark, then UTF-8, then a guess by its letters."""

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from rag.errors import ParseError

_SAMPLE_BYTES = 65_536
_BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What real files are written in. Left to all of its codecs, the detector sees Hebrew as Korean.
_CANDIDATES = [
    "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip
_NAMES = re.compile(
    r"(?:ascii|big5|cp|euc|gb|iso|koi8|latin|mac|shift|us-|utf|windows)[\w.-]*", re.IGNORECASE
)
_FEW_BYTES = 8  # with no more evidence than this the detector guesses; Western European is likelier
_WESTERN = re.compile(
    r"[À-ÖØ-öø-ÿŠšŽžŒœŸß“”‘’‚„–—…€£§©®«»·•°ªº\u00a0¡¿]+"  # noqa: RUF001 - letters of cp1252
)
# Windows-1250 and -1252 differ in few letters, and the detector mistakes French for Slovak: how
# much a letter speaks for 1252 (à, which 1250 reads as the rare ŕ) or for 1250 (³ is its ł).
_WEST = {"à": 3, "À": 3, "å": 3, "Å": 3, "ñ": 1, "ò": 1}
_EAST = {"³": 3, "¹": 3, "¾": 3, "ì": 2, "Ÿ": 2, "ù": 1}
_MARK_IN_WORD = re.compile(r"\w[¡¿ªº§©®°·]\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A text, the encoding it was in, and a sentence if a part could not be decoded."""

    text: str
    encoding: str
    warning: str = ""


def utf16_without_mark(data: bytes) -> str | None:
    """Return `utf-16-le` or `utf-16-be` if the NUL bytes of `data` lie as they do in such a text.

    Text in any alphabet has spaces and line ends, whose upper byte is NUL; junk has NULs at even
    and odd places alike.
    """
    sample = data[:_SAMPLE_BYTES]
    if len(data) % 2 or len(sample) < 4:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    few, many = sorted((even, odd))
    if many * 20 < max(len(sample), 20) or few * 20 > many:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return encoding if sum(map(_is_junk, text[:4096])) * 50 <= len(text[:4096]) else None


def is_encoding_of_files(name: str) -> bool:
    """Return whether `name` is an encoding that files are written in.

    Python knows codecs that are none, or slow on purpose (`punycode`): they are not to be believed.
    """
    return _NAMES.fullmatch(name) is not None


def decode(data: bytes, *, declared: str | None = None) -> Decoded:
    """Return the text of `data`.

    Args:
        data: the bytes of a text file.
        declared: an encoding that the file names itself; taken if it fits.

    Raises:
        ParseError: no known encoding fits.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_marked(data[len(mark) :], encoding)
    if (utf16 := utf16_without_mark(data)) is not None:
        return Decoded(text=data.decode(utf16), encoding=utf16)
    for named in ("utf-8", declared):
        if named and (text := _try_decode(data, named)) is not None:
            return Decoded(text=text, encoding=named.lower())
    if (damaged := _damaged_utf8(data)) is not None:
        return damaged
    encoding = _guess(data)
    if (text := _try_decode(data, encoding)) is None:
        text = data.decode(encoding, "replace")
        num_bad = text.count("\ufffd")
        if num_bad * 100 > len(text):
            raise ParseError("its character encoding is not recognised; save it as UTF-8")
        return Decoded(text=text, encoding=encoding, warning=_replaced(num_bad, encoding))
    return Decoded(text=text, encoding=encoding)


def _decode_marked(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, "replace")
    num_bad = text.count("\ufffd") - _num_own(data, encoding)
    warning = _replaced(num_bad, encoding) if num_bad else ""
    return Decoded(text=text, encoding=encoding, warning=warning)


def _num_own(data: bytes, encoding: str) -> int:
    """Return how many replacement characters stand in the text itself."""
    return data.count("\ufffd".encode(encoding))


def _replaced(num_bad: int, encoding: str) -> str:
    return f"{num_bad} bytes were not {encoding.upper()} and were replaced by U+FFFD"


def _try_decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):  # LookupError: a declared encoding that nobody knows
        return None


def _damaged_utf8(data: bytes) -> Decoded | None:
    """Return UTF-8 with a few broken bytes as such: re-reading all of it as another would spoil it.

    Valid multi-byte sequences hardly occur by chance in other encodings.
    """
    text = data.decode("utf-8", "replace")
    num_bad = text.count("\ufffd") - _num_own(data, "utf-8")
    num_good = len(text) - num_bad - sum(byte < 128 for byte in data)
    if num_good < 10 * num_bad:
        return None
    return Decoded(text=text, encoding="utf-8", warning=_replaced(num_bad, "utf-8"))


def _guess(data: bytes) -> str:
    sample = data[:_SAMPLE_BYTES]
    if len(sample) < len(data) and b"\n" in sample:
        sample = sample[: sample.rindex(b"\n")]
    if sum(byte > 127 for byte in sample) <= _FEW_BYTES and _looks_western(data):
        return "cp1252"
    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best is None:
        raise ParseError("its character encoding is not recognised; save it as UTF-8")
    if best.encoding in {"cp1250", "cp1252"} and (text := _try_decode(sample, "cp1252")):
        west = sum(weight * text.count(letter) for letter, weight in _WEST.items())
        east = sum(weight * text.count(letter) for letter, weight in _EAST.items())
        if west != east or text == str(best):
            return "cp1252" if west >= east else "cp1250"
    return str(best.encoding)


def _looks_western(data: bytes) -> bool:
    text = _try_decode(data, "cp1252")
    if text is None:
        return False
    foreign = "".join(c for c in text if c > "\x7f")
    return not _WESTERN.sub("", foreign) and not _MARK_IN_WORD.search(text)


def _is_junk(char: str) -> bool:
    return char < " " and char not in "\t\n\r\f"
