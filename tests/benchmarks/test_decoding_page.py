"""The page of decoding controls: its requests run, and each shows what it printed."""

import re

from api.chat_request import Extension
from api.decode_request import DecodeExtension
from benchmarks.decoding_page import PAGE, blocks, filled


def test_every_request_of_the_page_shows_its_output() -> None:
    shown = blocks(PAGE.read_text())
    assert len(shown) > 12
    for code, output in shown:
        compile(code, str(PAGE), "exec")
        if "print(" in code.split("def show", maxsplit=1)[0] or "\nshow(" in f"\n{code}":
            assert output, code


def test_the_page_shows_each_control() -> None:
    code = "\n".join(code for code, _ in blocks(PAGE.read_text()))
    wanted = {*DecodeExtension.model_fields, "grammar", "mirostat", "dry", "banned_strings"}
    assert wanted <= {*Extension.model_fields}
    for word in (*wanted - {"speculation"}, "speculation", "response_format", "tools", "logprobs"):
        assert re.search(rf'"?{word}"?\s*[:=]', code), word


def test_the_output_is_what_the_code_prints_against_the_address() -> None:
    page = (
        "# x\n\n```python\nurl = 'http://127.0.0.1:8000/v1'\n```\n\n"
        "```python\nprint(url)\n```\n\n```text\nold\n```\n\nend\n"
    )
    assert blocks(page)[1] == ("print(url)\n", "old\n")
    new = filled(page, "http://127.0.0.1:9")
    assert new == page.replace("old", "http://127.0.0.1:9/v1")
    assert filled(new, "http://127.0.0.1:9") == new
