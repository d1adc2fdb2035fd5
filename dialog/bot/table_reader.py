"""Reading the section `tables:`: files or a function → rows with unique keys."""

from collections.abc import Mapping
from pathlib import Path

from dialog.bot.bot_yaml import YamlMapping, YamlNode
from dialog.bot.data_folder import located
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.table_files import TableFileError, checked_rows, columns_of, read_rows
from dialog.bot.tables import EntityTable
from dialog.slot_types.base import JsonValue
from tools.base import Effect, Tool

_EXAMPLE = "hotels: {from: data/hotels.csv, key: id, show: name}"


def read_tables(
    reader: NodeReader, node: YamlNode | None, folder: Path, tools: Mapping[str, Tool]
) -> dict[str, EntityTable]:
    """Return the tables of a bot."""
    section = reader.any_mapping(node, "tables by name", _EXAMPLE) if node else None
    found = {}
    for name, inner in section.entries.items() if section else ():
        entries = reader.mapping(inner, "table")
        table = _table(reader, name, entries, folder, tools) if entries else None
        if table:
            found[name] = table
    return found


def _table(
    reader: NodeReader,
    name: str,
    entries: YamlMapping,
    folder: Path,
    tools: Mapping[str, Tool],
) -> EntityTable | None:
    source = entries.get("from")
    if source is None:
        reader.fail(entries, "a table says where it comes from", example=_EXAMPLE)
        return None
    rows = _rows(reader, source, entries, folder, tools)
    if not rows:
        return None
    columns = columns_of(rows)
    key = _column(reader, entries, "key", columns) or next(iter(columns))
    show = _column(reader, entries, "show", columns) or ("name" if "name" in columns else key)
    search = entries.get("search")
    searched = reader.texts(search, "a column", "search: [name, area]") if search else (show,)
    for column in searched:
        if search is not None and column not in columns:
            _no_column(reader, search, column, columns)
    keyed: dict[str, dict[str, JsonValue]] = {}
    for i, row in enumerate(rows, 1):
        value = row.get(key)
        if value is None or value == "":
            reader.fail(source, f"row {i} of {name!r} has no {key!r}", remedy="give each row a key")
            return None
        if str(value) in keyed:
            reader.fail(
                source, f"two rows of {name!r} have the {key} {value!r}",
                remedy="a key is unique; name another column as key:",
            )  # fmt: skip
            return None
        keyed[str(value)] = row
    return EntityTable(
        name=name,
        key=key,
        show=show,
        search=searched,
        columns=columns,
        rows=keyed,
        source=entries.source,
        synonyms=_synonyms(reader, entries, keyed),
    )


def _rows(
    reader: NodeReader,
    source: YamlNode,
    entries: YamlMapping,
    folder: Path,
    tools: Mapping[str, Tool],
) -> list[dict[str, JsonValue]]:
    text = reader.text(source, "a file", example="from: data/hotels.csv") or ""
    inner = entries.get("table")
    table = (reader.text(inner, "a table of the file") or "") if inner else ""
    try:
        if text.endswith("()"):
            rows = _called(text.removesuffix("()"), tools)
        else:
            rows = _of_file(folder, text, table)
    except TableFileError as error:
        reader.fail(source, str(error), example="from: data/hotels.csv")
        return []
    if not rows:
        reader.fail(source, f"{text} has no rows", remedy="a table has at least one")
    return rows


def _of_file(folder: Path, name: str, table: str) -> list[dict[str, JsonValue]]:
    try:
        folder, name = located(folder, name)
    except ValueError as error:
        raise TableFileError(str(error)) from None
    return read_rows(folder / name, table=table)


def _called(name: str, tools: Mapping[str, Tool]) -> list[dict[str, JsonValue]]:
    tool = tools.get(name)
    if tool is None:
        raise TableFileError(f"tools.py has no function {name!r}")
    if tool.effect is not Effect.READ:
        raise TableFileError(f"{name} writes; a table comes from a function that reads")
    try:
        raw = tool()
    except Exception as error:
        raise TableFileError(f"{name}() failed: {type(error).__name__}: {error}") from error
    return checked_rows(raw, f"{name}()")


def _column(
    reader: NodeReader, entries: YamlMapping, key: str, columns: Mapping[str, str]
) -> str | None:
    node = entries.get(key)
    column = reader.text(node, "a column", example=f"{key}: id") if node else None
    if node is None or column is None or column in columns:
        return column
    _no_column(reader, node, column, columns)
    return None


def _no_column(reader: NodeReader, node: YamlNode, column: str, columns: Mapping[str, str]) -> None:
    near = nearest_key(column, list(columns))
    hint = f"did you mean {near!r}?" if near else f"it has {', '.join(columns)}"
    reader.fail(node, f"the table has no column {column!r}; {hint}")


def _synonyms(
    reader: NodeReader, entries: YamlMapping, rows: Mapping[str, object]
) -> dict[str, tuple[str, ...]]:
    node = entries.get("synonyms")
    section = (
        reader.any_mapping(node, "keys and synonyms", "synonyms: {bern: [berne]}") if node else None
    )
    found = {}
    for key, inner in section.entries.items() if section else ():
        if key not in rows and section:
            near = nearest_key(key, list(rows))
            hint = f"; did you mean {near!r}?" if near else ""
            reader.problems.add(section.at(key), f"no row has the key {key!r}{hint}", text=key)
            continue
        found[key] = reader.texts(inner, "a synonym")
    return found
