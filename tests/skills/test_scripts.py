"""The scripts in the library of skills, as an agent calls them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "skills"
TABLE = LIBRARY / "spreadsheet-work" / "scripts" / "table.py"
COMPARE = LIBRARY / "watch-a-page" / "scripts" / "compare.py"
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def run(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def workbook(path: Path, **parts: str) -> Path:
    """Write a workbook of the parts that other programs write: texts apart, dates as numbers with a style."""
    sheet = (
        f'<worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="A2" s="1"><v>46099</v></c><c r="C2"><f>1+1</f><v>2</v></c></row>'
        '<row r="3"><c r="A3" s="1"><v>46099.5</v></c><c r="C3" t="b"><v>1</v></c></row></sheetData></worksheet>'
    )
    texts = f"<sst {MAIN}><si><t>Day</t></si><si><r><t>Amo</t></r><r><t>unt</t></r></si></sst>"
    styles = f'<styleSheet {MAIN}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    book = f'<workbook {MAIN} xmlns:r="{RELATIONS}"><sheets><sheet name="March" r:id="r7"/></sheets></workbook>'
    links = '<Relationships><Relationship Id="r7" Target="worksheets/one.xml"/></Relationships>'
    files = {
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": links,
        "xl/worksheets/one.xml": sheet,
        "xl/sharedStrings.xml": texts,
        "xl/styles.xml": styles,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, **parts}.items():
            archive.writestr(name, text)
    return path


def test_a_workbook_becomes_csv(tmp_path: Path) -> None:
    """Empty cells keep their places, dates are dates, formulas give their last value."""
    ended = run(TABLE, "csv", workbook(tmp_path / "a.xlsx"), "March")
    assert (ended.stdout, ended.stderr) == ("Day,,Amount\n2026-03-18,,2\n2026-03-18 12:00,,TRUE\n", "")


def test_csv_becomes_a_workbook_and_back(tmp_path: Path) -> None:
    """No cell changes: zeros in front, long numbers, signs of XML and texts with commas come back as they were."""
    source = tmp_path / "a.csv"
    source.write_text('id,text\n007,"a <b> & c"\n12345678901234567890,"x, y"\n-1.50,"=1+1"\n')
    assert run(TABLE, "xlsx", source, tmp_path / "a.xlsx").stdout.endswith("4 rows\n")
    assert run(TABLE, "csv", tmp_path / "a.xlsx").stdout == source.read_text().replace(
        '"a <b> & c"', "a <b> & c"
    ).replace('"=1+1"', "=1+1")


def test_a_look_tells_what_is_odd(tmp_path: Path) -> None:
    """Empty cells, repeated rows and rows of another length are told before anybody counts."""
    source = tmp_path / "a.csv"
    source.write_text("name;amount\nOtt;1,50\nOtt;1,50\nBerg;\nLang;2,00;more\n")
    shown = run(TABLE, "look", source).stdout
    assert "table: 5 rows, 2 columns" in shown
    assert "'amount': 3 numbers; 1 empty; 2 different" in shown
    assert "rows with another number of cells: 5\n" in shown
    assert "more than once: 1\n" in shown


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><workbook/>', "declares entities"),
        (f'<workbook {MAIN} xmlns:r="{RELATIONS}"/>', "there is no sheet 'March'"),
    ],
)
def test_a_strange_workbook_is_refused_in_words(tmp_path: Path, part: str, words: str) -> None:
    """No trace of Python, and what is wrong."""
    ended = run(TABLE, "csv", workbook(tmp_path / "a.xlsx", **{"xl/workbook.xml": part}), "March")
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_only_what_changed_is_told(tmp_path: Path) -> None:
    """The first look, the same again in another order, and then what came and went; each state is kept once."""
    now = tmp_path / "now.txt"
    now.write_text("Lamp  79 EUR\nChair 20 EUR\n")
    assert run(COMPARE, tmp_path).stdout == "first\n"
    now.write_text("Chair 20 EUR\nLamp 79 EUR\n")
    assert run(COMPARE, "--peek", tmp_path).returncode == 78
    assert run(COMPARE, tmp_path).stdout == "same\n"
    now.write_text("Chair 20 EUR\nLamp 69 EUR\n")
    assert (run(COMPARE, "--peek", tmp_path).returncode, run(COMPARE, "--peek", tmp_path).stdout) == (0, "changed\n")
    assert run(COMPARE, tmp_path).stdout == "- Lamp 79 EUR\n+ Lamp 69 EUR\n"
    assert (tmp_path / "history.txt").read_text().count("UTC") == 2


def test_an_empty_page_is_no_change(tmp_path: Path) -> None:
    """What was known stays."""
    (tmp_path / "last.txt").write_text("Lamp 79 EUR\n")
    (tmp_path / "now.txt").write_text("\n")
    ended = run(COMPARE, tmp_path)
    assert (ended.returncode, "empty or missing" in ended.stderr) == (1, True)
    assert (tmp_path / "last.txt").read_text() == "Lamp 79 EUR\n"
