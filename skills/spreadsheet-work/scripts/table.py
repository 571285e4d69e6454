"""Looks at tables, turns sheets of .xlsx workbooks into CSV, and CSV into .xlsx. Python alone.

    table.py look FILE            what is in it
    table.py csv FILE [SHEET]     a sheet as CSV, to standard output
    table.py xlsx FILE.csv OUT    a workbook of one sheet

Not read: formulas (the value last stored counts), colours, pictures; .xls and .ods are other formats.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
MOST_BYTES = 200 << 20
DATE_FORMATS = {*range(14, 23), *range(45, 48)}
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
SHOWN_ROWS = 5

Rows = list[list[str]]


def main(arguments: list[str]) -> None:
    match arguments:
        case ["look", path]:
            for name, rows in sheets(path).items():
                look(name, rows)
        case ["csv", path, *name] if len(name) <= 1:
            found = sheets(path)
            if name and name[0] not in found:
                sys.exit(f"there is no sheet {name[0]!r}; there are: {', '.join(found)}")
            rows = found[name[0]] if name else next(iter(found.values()))
            csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
        case ["xlsx", path, out]:
            write_workbook(next(iter(sheets(path).values())), out)
        case _:
            sys.exit(__doc__)


def sheets(path: str) -> dict[str, Rows]:
    """Return the rows of each sheet, all cells as text; a CSV or TSV file is one sheet."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as book:
            return read_workbook(book)
    text = Path(path).read_text("utf-8-sig", "replace")
    heading = text.partition("\n")[0]
    delimiter = max(",;\t|", key=heading.count)
    return {"table": [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]}


def read_workbook(book: zipfile.ZipFile) -> dict[str, Rows]:
    if sum(member.file_size for member in book.infolist()) > MOST_BYTES:
        sys.exit("that workbook unpacks to more than 200 MB")
    if "xl/workbook.xml" not in book.namelist():
        sys.exit("that is an archive, but no .xlsx workbook")
    shared = shared_texts(book)
    dates = date_styles(book)
    relations = {each.get("Id"): each.get("Target", "") for each in parse(book, "xl/_rels/workbook.xml.rels")}
    found: dict[str, Rows] = {}
    for sheet in parse(book, "xl/workbook.xml").iter(f"{MAIN}sheet"):
        target = relations[sheet.get(RELATION, "")].removeprefix("/xl/")
        found[sheet.get("name", "")] = read_sheet(parse(book, f"xl/{target}"), shared, dates)
    return found


def shared_texts(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    return ["".join(text.text or "" for text in each.iter(f"{MAIN}t")) for each in parse(book, "xl/sharedStrings.xml")]


def date_styles(book: zipfile.ZipFile) -> set[int]:
    """Return the numbers of the cell styles that show a number as a date."""
    if "xl/styles.xml" not in book.namelist():
        return set()
    styles = parse(book, "xl/styles.xml")
    own = {
        int(each.get("numFmtId", 0))
        for each in styles.iter(f"{MAIN}numFmt")
        if re.search(r"[dmyh]", re.sub(r"\[[^]]*]|\"[^\"]*\"", "", each.get("formatCode", "")), re.IGNORECASE)
    }
    formats = styles.find(f"{MAIN}cellXfs")
    cells = [] if formats is None else list(formats)
    return {number for number, each in enumerate(cells) if int(each.get("numFmtId", 0)) in DATE_FORMATS | own}


def read_sheet(sheet: ElementTree.Element, shared: list[str], dates: set[int]) -> Rows:
    rows: Rows = []
    for row in sheet.iter(f"{MAIN}row"):
        cells: list[str] = []
        for cell in row.iter(f"{MAIN}c"):
            column = column_number(cell.get("r", ""))
            cells += [""] * ((len(cells) if column is None else column) - len(cells))
            cells.append(cell_text(cell, shared, dates))
        rows.append(cells)
    width = max(map(len, rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows]


def column_number(reference: str) -> int | None:
    letters = re.match(r"[A-Z]+", reference)
    if letters is None:
        return None
    number = 0
    for letter in letters.group():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def cell_text(cell: ElementTree.Element, shared: list[str], dates: set[int]) -> str:
    kind, value = cell.get("t", "n"), cell.find(f"{MAIN}v")
    if kind == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{MAIN}t"))
    text = "" if value is None else value.text or ""
    if kind == "s" and text:
        return shared[int(text)]
    if kind == "b":
        return "TRUE" if text == "1" else "FALSE"
    if kind == "n" and text and int(cell.get("s", 0)) in dates:
        moment = datetime(1899, 12, 30) + timedelta(days=float(text))
        return moment.strftime("%Y-%m-%d" if moment.hour == moment.minute == 0 else "%Y-%m-%d %H:%M")
    return text


def parse(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    data = book.read(name)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        sys.exit("that workbook declares entities, which no spreadsheet needs; it is not read")
    return ElementTree.fromstring(data)


def look(name: str, rows: Rows) -> None:
    print(f"== {name}: {len(rows)} rows, {len(rows[0]) if rows else 0} columns")
    if not rows:
        return
    heading, *body = rows
    for number, title in enumerate(heading):
        values = [row[number].strip() if number < len(row) else "" for row in body]
        kinds = Counter(kind_of(value) for value in values if value)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        distinct = len(set(filter(None, values)))
        print(f"{number + 1:>3}  {title[:40]!r}: {told or 'nothing'}; {values.count('')} empty; {distinct} different")
    uneven = [str(number) for number, row in enumerate(rows, 1) if len(row) != len(heading)]
    if uneven:
        print(f"rows with another number of cells: {', '.join(uneven[:20])}{' …' if len(uneven) > 20 else ''}")
    repeated = sum(count - 1 for count in Counter(map(tuple, body)).values())
    if repeated:
        print(f"rows that stand there more than once: {repeated}")
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows[: SHOWN_ROWS + 1])


def kind_of(value: str) -> str:
    bare = value.replace("\u00a0", "").replace(" ", "").strip("€$£%")
    return "dates" if DATE.match(value) else "numbers" if NUMBER.fullmatch(bare) else "texts"


def write_workbook(rows: Rows, out: str) -> None:
    """Write one sheet: what Python reads as a number is one, unless zeros in front or its length would be lost."""
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(f'<row r="{number}">{"".join(map(cell_xml, row))}</row>')
    sheet = f'<worksheet xmlns="{MAIN[1:-1]}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    packages = "http://schemas.openxmlformats.org/package/2006"
    documents = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{packages}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{packages}/relationships">'
        f'<Relationship Id="r1" Type="{documents}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN[1:-1]}" xmlns:r="{documents}">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{packages}/relationships">'
        f'<Relationship Id="r1" Type="{documents}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}')
    print(f"{out}: {len(rows)} rows")


def cell_xml(value: str) -> str:
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?", value):
        return f"<c><v>{value}</v></c>"
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", value)
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(clean)}</t></is></c>'


if __name__ == "__main__":
    main(sys.argv[1:])
