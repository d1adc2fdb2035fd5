"""The default corpus: the reference that every Python interpreter carries with itself.

Two parts: the language topics of `pydoc`, and the docstrings of the public standard library. No
library module is imported for it, since importing runs code.
"""

import importlib.machinery
import logging
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics

from rag import builtin_docstrings
from rag.docstring_entries import MEDIA_TYPE, Entry, render, summary_title
from rag.document import Document, sha256_hex
from rag.source_docstrings import ModuleSource, Reexport, read_source

logger = logging.getLogger(__name__)

TOPIC_PREFIX = "python/topics/"
LIBRARY_PREFIX = "python/library/"

# Not documentation for anybody: demos, test suites, vendored data, and modules on their way out.
_NOT_READ = frozenset(
    {"antigravity", "builtins", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data"}
    | {"idle_test", "test", "tests", "this", "turtledemo", "xxlimited", "xxlimited_35", "xxsubtype"}
)
# What these hold is told under the name that people use: `os` and `os.path`.
_PARTS_OF_OS = frozenset({"genericpath", "nt", "ntpath", "nturl2path", "posix", "posixpath"})
_SUBMODULES_NOT_READ = frozenset({"encodings"})  # a hundred code pages, each with the same line
_UNDERLINE = re.compile(r"^[*=\-~^\"]{4,}$", re.MULTILINE)
_MIN_SECTION = 200  # shorter texts occur in others by chance

SkipHook = Callable[[str, str], None]


def language_topics(source: Mapping[str, str] = topics) -> list[Document]:
    """Return the topics of the language reference, in the order of their keys.

    Some topics are collections of others (`compound` holds `with`, `try`, …). A section that is a
    topic of its own is taken out of the collection, so that the same text is never found twice;
    all else is kept to the letter.
    """
    texts: dict[str, str] = {}
    for key in sorted(source):
        twins = [k for k in source if source[k] == source[key]]
        if key == min(twins, key=lambda k: (f'"{k}"' not in _title(k, source[k]), k)):
            texts[key] = source[key]
    documents = []
    for key, text in texts.items():
        others = [other for k, other in texts.items() if k != key and len(other) < len(text)]
        kept = _without_sections(text, others)
        if kept.strip():
            metadata = {"part": "topics", "topic": key}
            documents.append(_document(TOPIC_PREFIX + key, _title(key, text), kept, metadata))
    return documents


def library_docstrings(
    stdlib: Path | None = None, *, on_skip: SkipHook | None = None
) -> Iterator[Document]:
    """Yield one document per public module, built-in type and group of built-ins, in a fixed order.

    A module that cannot be read is logged, told to `on_skip` as (module, reason), and left out.
    """
    yield from _builtin_documents()
    yield from _Library(stdlib or _stdlib_folder(), on_skip).documents()


def count(stdlib: Path | None = None) -> int:
    """Return how many modules and groups `library_docstrings` looks at.

    It yields no more documents than that; a few modules have no docstring and make none.
    """
    num_builtins = 2 + sum(1 for _ in builtin_docstrings.builtin_types())
    return num_builtins + len(_Library(stdlib or _stdlib_folder(), None).modules())


def _stdlib_folder() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _document(uri: str, title: str, text: str, metadata: Mapping[str, str | int]) -> Document:
    return Document(
        uri=uri,
        title=title,
        text=text,
        media_type=MEDIA_TYPE,
        source_sha256=sha256_hex(text.encode()),
        metadata=metadata,
    )


def _title(key: str, text: str) -> str:
    """Return the first heading of a topic, else its key in words."""
    lines = text.lstrip("\n").split("\n", 2)
    if len(lines) > 1 and lines[0].strip() and _UNDERLINE.match(lines[1]):
        return lines[0].strip()
    return key.replace("-", " ").capitalize()


def _without_sections(text: str, others: Iterable[str]) -> str:
    """Cut out of `text` each section that is one of `others`, whatever level its headings have."""
    for other in sorted(others, key=lambda other: (-len(other), other)):
        section, _, _ = other.partition("\n-[ Footnotes ]-")
        section = section.strip()
        if len(section) < _MIN_SECTION:
            continue
        # Same length after levelling, so a place found in one is a place in the other.
        start = _level(text).find("\n" + _level(section))
        if start >= 0:
            text = text[:start] + text[start + 1 + len(section) :]
    return text


def _level(text: str) -> str:
    return _UNDERLINE.sub(lambda match: "*" * len(match[0]), text)


def _builtin_documents() -> Iterator[Document]:
    functions = builtin_docstrings.builtin_functions()
    yield _library_document("builtins", "Built-in functions", "", "", functions)
    exceptions = builtin_docstrings.builtin_exceptions()
    yield _library_document("builtins.exceptions", "Built-in exceptions", "", "", exceptions)
    for name, entry in builtin_docstrings.builtin_types():
        title = f"{name} — built-in type"
        yield _library_document(f"builtins.{name}", title, "", "", [entry])


def _library_document(
    name: str, title: str, prefix: str, doc: str, entries: Iterable[Entry]
) -> Document:
    text = render(title, prefix, doc, entries)
    return _document(LIBRARY_PREFIX + name, title, text, {"part": "library", "module": name})


class _Library:
    """The modules of one standard library folder, read without being imported."""

    def __init__(self, stdlib: Path, on_skip: SkipHook | None) -> None:
        self._stdlib = stdlib
        self._on_skip = on_skip
        self._sources: dict[Path, ModuleSource] = {}
        self._told: set[tuple[str, str]] = set()  # (module, name) that a package offers as its own

    def modules(self) -> list[str]:
        """Return the dotted names of the public modules, a package before what is in it."""
        names: list[str] = []
        for name in sorted(sys.stdlib_module_names - _NOT_READ - _PARTS_OF_OS):
            if not name.startswith("_"):
                names.append(name)
                if name == "os":
                    names.append("os.path")
                if name not in _SUBMODULES_NOT_READ:
                    names += self._submodules(name, self._stdlib / name)
        return names

    def documents(self) -> Iterator[Document]:
        for name in self.modules():
            try:
                doc, entries = self._read(name, following=frozenset())
            except (OSError, SyntaxError, ValueError, RecursionError) as error:
                self._skip(name, f"{type(error).__name__}: {error}")
                continue
            shown = [e for e in entries.values() if (name, e.name) not in self._told]
            self._told |= {(e.origin, e.name) for e in shown if e.origin}
            if doc or shown:
                yield _library_document(name, summary_title(name, doc), f"{name}.", doc, shown)

    def _skip(self, name: str, reason: str) -> None:
        logger.info("standard library module %s is left out: %s", name, reason)
        if self._on_skip is not None:
            self._on_skip(name, reason)

    def _submodules(self, package: str, folder: Path) -> list[str]:
        if not (folder / "__init__.py").is_file():
            return []
        names: list[str] = []
        for path in sorted(folder.iterdir()):
            if path.stem.startswith("_") or path.stem in _NOT_READ:
                continue
            name = f"{package}.{path.stem}"
            if path.suffix == ".py":
                names.append(name)
            elif (path / "__init__.py").is_file():
                names += [name, *self._submodules(name, path)]
        return names

    def _source_file(self, name: str) -> Path | None:
        if name == "os.path":
            name = os.path.__name__
        base = self._stdlib.joinpath(*name.split("."))
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
        return None

    def _extension_file(self, name: str) -> Path | None:
        for folder in (self._stdlib / "lib-dynload", self._stdlib.parent / "DLLs"):
            for suffix in importlib.machinery.EXTENSION_SUFFIXES:
                if (folder / f"{name}{suffix}").is_file():
                    return folder / f"{name}{suffix}"
        return None

    def _read(self, name: str, following: frozenset[str]) -> tuple[str, dict[str, Entry]]:
        """Return a module's docstring and public entries; `following` are those on the way."""
        path = self._source_file(name)
        if path is not None:
            return self._read_source(name, path, following | {name})
        if name in sys.builtin_module_names:
            doc, found = builtin_docstrings.builtin_module(name)
            return doc, {entry.name: entry for entry in found}
        if (extension := self._extension_file(name)) is not None:
            found = builtin_docstrings.extension_module(extension)
            return "", {entry.name: entry for entry in found}
        raise FileNotFoundError("this installation does not have it")

    def _read_source(
        self, name: str, path: Path, following: frozenset[str]
    ) -> tuple[str, dict[str, Entry]]:
        source = self._sources.get(path) or read_source(path)
        self._sources[path] = source
        entries = {key: e for key, e in source.entries.items() if source.offers(key)}
        for reexport in source.reexports:
            target = _followed(name, path.name == "__init__.py", reexport)
            # Without an `__all__`, a single name from a private module is a mere import.
            is_mere = source.exports is None and reexport.level == 0 and reexport.name != "*"
            if not target or target in following or is_mere:
                continue
            try:
                _, offered = self._read(target, following)
            except (OSError, SyntaxError, ValueError, RecursionError):
                continue  # if it is public it is looked at, and reported, by itself
            for entry in offered.values():
                alias = entry.name if reexport.name == "*" else reexport.alias
                if reexport.name in {"*", entry.name} and source.offers(alias):
                    entries.setdefault(alias, replace(entry, name=alias, origin=target))
        return source.doc, entries


def _followed(name: str, is_package: bool, reexport: Reexport) -> str:
    """Return the module whose entries `name` offers as its own, or "" for a mere import.

    These are the parts of a package that its `__init__` imports, and private modules (`_functools`)
    behind a public one; `os` and
    `os.path` take their functions from modules named after the system.
    """
    if is_package and reexport.level == 1 and reexport.module:
        return f"{name}.{reexport.module}"
    is_private = reexport.module.startswith("_") and reexport.module != "__future__"
    is_part_of_os = name in {"os", "os.path"} and reexport.module in _PARTS_OF_OS
    return reexport.module if reexport.level == 0 and (is_private or is_part_of_os) else ""
