import pytest

from rag.loaders.markdown import load_markdown


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n# The *title* #\n\n## Next\n", "The *title*"),
        ("Title\n=====\n\ntext", "Title"),
        ("---\ntitle: 'From the front'\ndate: x\n---\n# Heading\n", "From the front"),
        ("---\ndate: x\n---\n# Heading\n", "Heading"),
        ("```\n# a comment\n```\n# Title\n", "Title"),
        ("only text, no heading", ""),
        ("---\nunclosed", ""),
    ],
)
def test_the_title_is_that_of_the_front_matter_or_the_first_main_heading(
    text: str, title: str
) -> None:
    found = load_markdown(text.encode())
    assert found.title == title
    assert found.text == text
