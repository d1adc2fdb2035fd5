"""PPTX by python-pptx: a slide is a section with its texts, lists, tables and speaker notes."""

import io
from collections.abc import Iterator
from typing import Any

from rag.loaders.archive import BROKEN, broken, check_archive
from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.optional_library import library

_MAX_GROUPS = 20  # in one another


def load_presentation(data: bytes) -> Extraction:
    """Return the slides in order, each below its title or its number."""
    pptx = library("pptx", "PPTX")
    try:
        check_archive(data, "PPTX")
        presentation = pptx.Presentation(io.BytesIO(data))
        slides = list(presentation.slides)
        sections = [
            part for number, slide in enumerate(slides, 1) for part in _slide(slide, number)
        ]
        title = one_line(presentation.core_properties.title or "")
    except (pptx.exc.PythonPptxError, *BROKEN) as error:
        raise broken("PPTX", error) from error
    if title == "PowerPoint Presentation":  # what the programs write by themselves
        title = ""
    first = next((one_line(text) for slide in slides[:1] if (text := _title(slide))), "")
    return Extraction(
        text=tidy("\n\n".join(sections)), title=title or first, metadata={"num_slides": len(slides)}
    )


def _slide(slide: Any, number: int) -> Iterator[str]:
    parts = [part for shape in slide.shapes for part in _shape(shape, slide, 0)]
    notes = ""
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        notes = frame.text.strip()
    title = one_line(_title(slide))
    if not (parts or notes or title):
        return
    yield f"# {title or f'Slide {number}'}"
    yield from parts
    if notes:
        yield f"Notes: {_lines(notes)}"


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return str(shape.text_frame.text).strip() if shape is not None else ""


def _shape(shape: Any, slide: Any, depth: int) -> Iterator[str]:
    title = slide.shapes.title
    if title is not None and shape.shape_id == title.shape_id:
        return
    if hasattr(shape, "shapes"):
        if depth < _MAX_GROUPS:
            for inner in shape.shapes:
                yield from _shape(inner, slide, depth + 1)
    elif getattr(shape, "has_table", False):
        rows = ([_cell(cell.text) for cell in row.cells] for row in shape.table.rows)
        if table := "\n".join(f"| {' | '.join(cells)} |" for cells in rows if any(cells)):
            yield table
    elif shape.has_text_frame:
        yield from _text(shape)


def _text(shape: Any) -> Iterator[str]:
    """Yield the paragraphs of a shape; those of a body are the items of a list."""
    found = [(p.level, _lines(p.text.strip())) for p in shape.text_frame.paragraphs]
    paragraphs = [(level, text) for level, text in found if text]
    if shape.is_placeholder and len(paragraphs) > 1:
        yield "\n".join(f"{'  ' * level}- {' '.join(text.split())}" for level, text in paragraphs)
    else:
        yield from (text for _, text in paragraphs)


def _lines(text: str) -> str:
    """Return `text` with its soft line ends as line ends, none of which begins a heading."""
    lines = (" ".join(line.split()) for line in text.replace("\v", "\n").split("\n"))
    return "\n".join(f"\\{line}" if line.startswith("#") else line for line in lines if line)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
