"""Which files a bot is made of: the bot file, what it includes, its tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dialog.bot.bot_yaml import YamlMapping, YamlNode, parse_yaml
from dialog.bot.file_keys import TOP
from dialog.bot.node_reader import NodeReader
from dialog.bot.problems import Problems
from dialog.bot.source import SourceLine

MAX_BYTES = 2_000_000
STORIES = ("tests", "simulate", "dst")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFiles:
    """The top-level sections of a bot, from all its files.

    `contents` are the bytes that decide what the bot does, by file; `stories` the sections for
    tests, which may stand in `tests.yaml` and `tests/*.yaml` too.
    """

    folder: Path
    file: str
    root: YamlMapping
    sections: Mapping[str, YamlNode]
    contents: Mapping[str, bytes]
    stories: Mapping[str, tuple[YamlNode, ...]] = field(default_factory=dict)


def read_files(path: Path, problems: Problems) -> BotFiles:
    """Read the bot file, its includes and its tests; what is wrong is noted.

    Raises:
        BotFileErrors: the bot file cannot be read at all.
    """
    if path.is_dir():
        path /= "bot.yaml"
    folder, file = path.parent, path.name
    start = SourceLine(file=file, line=1, column=1)
    reader = NodeReader(problems=problems)
    contents: dict[str, bytes] = {}
    node = _read(path, file, problems, contents)
    if node is None and not problems.found:
        problems.add(start, "the file is empty", example="bot: Corner Table")
    root = reader.mapping(node, "top") if node else None
    problems.raise_if_any()
    assert root is not None
    sections = dict(root.entries)
    where = {key: root.at(key) for key in sections}
    include = sections.pop("include", None)
    for name in reader.texts(include, "a file", "include: [tasks.yaml]") if include else ():
        assert include is not None
        if not _include(folder, name, include, reader, sections, where, contents):
            problems.raise_if_any()  # without its sections, all that uses them would be wrong
    tools = folder / "tools.py"
    if tools.is_file():
        contents["tools.py"] = tools.read_bytes()
    stories = {key: [sections.pop(key)] if key in sections else [] for key in STORIES}
    tests = [folder / "tests.yaml", *sorted((folder / "tests").glob("*.yaml"))]
    for extra in tests:
        if extra.is_file():
            _stories(extra, folder, reader, stories)
    return BotFiles(
        folder=folder,
        file=file,
        root=root,
        sections=sections,
        contents=contents,
        stories={key: tuple(nodes) for key, nodes in stories.items()},
    )


def _read(path: Path, file: str, problems: Problems, contents: dict[str, bytes]) -> YamlNode | None:
    start = SourceLine(file=file, line=1, column=1)
    if not path.is_file():
        problems.add(
            start, f"there is no file {str(path)!r}", remedy="name a bot file or its folder"
        )
        return None
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        problems.add(start, f"{len(raw)} bytes, and a bot file has at most {MAX_BYTES}")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source = SourceLine(file=file, line=line, column=1)
        problems.add(source, "this is not UTF-8", remedy="save the file as UTF-8")
        return None
    contents[file] = raw
    return parse_yaml(text, file, problems)


def _include(
    folder: Path,
    name: str,
    node: YamlNode,
    reader: NodeReader,
    sections: dict[str, YamlNode],
    where: dict[str, SourceLine],
    contents: dict[str, bytes],
) -> bool:
    """Take whole sections from another file, if it can be read; one there already is an error."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_file():
        reader.fail(node, f"there is no file {name!r} in the bot's folder")
        return False
    read = _read(path, name, reader.problems, contents)
    found = reader.mapping(read, "top") if read else None
    if found is None:
        return False
    for key, value in found.entries.items():
        if key == "include":
            reader.problems.add(found.at(key), "an included file includes no others", text=key)
        elif key in sections:
            reader.problems.add(
                found.at(key), f"the section {key!r} stands here and already at {where[key]}",
                text=key, remedy="include: merges whole sections, never keys; keep one of the two",
            )  # fmt: skip
        elif key in TOP:
            sections[key], where[key] = value, found.at(key)
    return True


def _stories(
    path: Path, folder: Path, reader: NodeReader, stories: dict[str, list[YamlNode]]
) -> None:
    file = path.relative_to(folder).as_posix()
    node = _read(path, file, reader.problems, {})
    if node is None:
        return
    if not isinstance(node, YamlMapping):
        reader.fail(node, "expected sections", example=TOP["tests"])
        return
    for key, inner in node.entries.items():
        if key in stories:
            stories[key].append(inner)
        else:
            reader.problems.add(
                node.at(key), f"a file of tests has {', '.join(STORIES)}, not {key!r}", text=key
            )
