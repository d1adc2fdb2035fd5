"""Law: whatever is done to a bot file, reading it gives a bot or a list of sentences."""

import random
from pathlib import Path

import pytest

from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors, Problem
from tests.dialog.bot.harbour import FOLDER, harbour_in

TEXT = (FOLDER / "bot.yaml").read_text(encoding="utf-8")
_PIECES = (
    "{", "}", "[", "]", ":", ",", "'", '"', "?", "~", "&a ", "*a", "!!x ", "<<: ", "- ", "\t", "|",
    "{{", "\n", "#", "same",
    "required", "{x}", "() ", "@", "result.", "é", "\u2028", "0", "-1", "%",
)  # fmt: skip


def damaged(seed: int) -> str:
    """Return the file with one to three things done to it."""
    draw = random.Random(seed)
    text = TEXT
    for _ in range(draw.randint(1, 3)):
        lines = text.split("\n")
        i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
        match draw.randrange(6):
            case 0:
                del lines[i]
            case 1:
                lines[i], lines[j] = lines[j], lines[i]
            case 2:
                at = draw.randint(0, len(lines[i]))
                lines[i] = lines[i][:at] + draw.choice(_PIECES) + lines[i][at:]
            case 3:
                lines[i] = lines[i][: draw.randint(0, len(lines[i]))]
            case 4:
                words = lines[i].split(" ")
                words[draw.randrange(len(words))] = draw.choice(_PIECES)
                lines[i] = " ".join(words)
            case _:
                key, colon, value = lines[i].partition(":")
                lines[i] = f"{key}{colon} {draw.choice(['[]', '{}', '~', '{a: b}', '[[x]]', '3'])}"
                del value
        text = "\n".join(lines)
    return text


def problems_of(folder: Path) -> tuple[Problem, ...]:
    try:
        load_bot(folder)
    except BotFileErrors as errors:
        return errors.problems
    return ()


@pytest.mark.parametrize("block", range(2))
def test_a_damaged_file_gives_a_bot_or_sentences(tmp_path: Path, block: int) -> None:
    folder = harbour_in(tmp_path / "harbour")
    for seed in range(40 * block, 40 * block + 40):
        (folder / "bot.yaml").write_text(damaged(seed), encoding="utf-8")
        problems = problems_of(folder)
        assert all(p.message and p.source.line > 0 for p in problems)
