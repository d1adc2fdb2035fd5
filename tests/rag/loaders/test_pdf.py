import pytest
from pypdf import PageObject

from rag.errors import ParseError
from rag.loaders.pdf import load_pdf
from tests.rag.sample_files import encrypted_pdf, looping_pdf, pdf, pdf_of


def test_pages_are_parted_by_form_feeds() -> None:
    found = load_pdf(pdf(["First page.", "", "Third page."], title="Three pages"))
    assert found.title == "Three pages"
    assert [page.strip() for page in found.text.split("\f")] == ["First page.", "", "Third page."]
    assert found.metadata["num_pages"] == 3
    assert found.metadata["warning"] == "page 2 without text"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encrypted_pdf(), "the PDF is encrypted; save a copy without a password"),
        (pdf([""]), "the PDF has no text layer: its page is an image; run OCR on it first"),
        (pdf(["", ""]), "the PDF has no text layer: its 2 pages are images"),
        (pdf(["text"])[:250], "the PDF is broken"),
        (b"%PDF-1.4\n", "the PDF is broken"),
        (pdf_of([b"<< /Type /Catalog >>", b"<< >>"], info=2), "the PDF"),
        (looping_pdf(), "the PDF"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        load_pdf(data)


def test_a_page_that_cannot_be_read_is_named_and_the_others_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = PageObject.extract_text

    def fail_on_some(page: PageObject) -> str:
        text = read(page)
        if "bad" in text:
            raise KeyError("/Font")
        return text

    monkeypatch.setattr(PageObject, "extract_text", fail_on_some)
    found = load_pdf(pdf(["Good."] + ["bad"] * 12))
    assert found.text.startswith("Good.")
    assert found.metadata["warning"] == (
        "pages 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more could not be read"
    )
    with pytest.raises(ParseError, match="the PDF is broken: 2 of 2 pages cannot be read"):
        load_pdf(pdf(["bad", "bad"]))
