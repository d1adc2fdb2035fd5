"""Where the files of a bot lie."""

from pathlib import Path

import pytest

from dialog.bot.data_folder import located


def test_a_plain_name_is_one_of_the_bots_folder(tmp_path: Path) -> None:
    assert located(tmp_path, "data/hotels.csv") == (tmp_path, "data/hotels.csv")


def test_a_name_of_the_data_folder_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSERIE_DATA", str(tmp_path))
    assert located(Path("bot"), "$CAUSERIE_DATA/a/b.json") == (tmp_path, "a/b.json")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x.csv", "$CAUSERIE_DATA/../x.csv", "$CAUSERIE_DATA//etc/passwd"]
)
def test_a_name_that_leads_elsewhere_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSERIE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="is outside"):
        located(tmp_path, name)


@pytest.mark.parametrize("value", ["", "nowhere/at/all"])
def test_a_variable_that_names_no_folder_is_told(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSERIE_DATA", value)
    with pytest.raises(ValueError, match="CAUSERIE_DATA names none; set it"):
        located(Path(), "$CAUSERIE_DATA/a.json")
