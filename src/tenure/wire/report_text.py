"""A report as a file: comma-separated values for a spreadsheet, one page of HTML for people. Pure; the same report, the same bytes.

Names in a report come from people. In CSV a text that a spreadsheet would take for a formula gets an apostrophe before it
(https://owasp.org/www-community/attacks/CSV_Injection); in HTML every text is escaped, and the page forbids itself scripts and the
network. Invariant: no text of a report is ever carried out by who opens the file.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping

from tenure.wire.reports import ReportReply

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #2a7ab0; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; min-width: 6rem; overflow-wrap: anywhere; }
tfoot td { font-weight: 600; }
td span { display: block; height: .3rem; background: var(--bar); border-radius: .15rem; margin-left: auto; }
.scroll { overflow-x: auto; }
"""
_TITLES = {"usage": "What was held", "cost": "What it cost", "waste": "What was held in vain"}


def csv_of(report: ReportReply) -> str:
    """The rows and the total as CSV with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([report.by, *report.columns])
    for row in report.rows:
        writer.writerow([harmless(row.key), *_cells(row.figures, report)])
    writer.writerow(["total", *_cells(report.total, report)])
    return text.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(figures: Mapping[str, float], report: ReportReply) -> list[str]:
    return [number(figures[name]) if name in figures else "" for name in report.columns]


def number(value: float) -> str:
    """At most three digits behind the point, without an exponent."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def title(name: str) -> str:
    """A column as people read it."""
    words = name.replace("_", " ").replace("gpu", "GPU").replace("gib", "GiB")
    return words[:1].upper() + words[1:]


def html_of(report: ReportReply) -> str:
    """The report as one page that needs nothing else. A bar shows the first figure in proportion."""
    from html import escape  # whoever reads no page goes without its table of entities, half a megabyte

    most = max((row.figures.get(_leading(report), 0.0) for row in report.rows), default=0.0)
    heads = "".join(f'<th scope="col">{escape(title(name))}</th>' for name in (report.by, *report.columns))
    rows = "\n".join(f"<tr><td>{escape(row.key)}</td>{_row(row.figures, report, most)}</tr>" for row in report.rows)
    total = f"<tr><td>Total</td>{_row(report.total, report, 0.0)}</tr>"
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    heading = f"{_TITLES[report.kind]}, by {report.by}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Tenure: {escape(heading)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(heading)}</h1>\n<p>From {moment(report.since_ms)} to {moment(report.until_ms)}.</p>\n"
        f'<div class="scroll"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n<tfoot>{total}</tfoot>\n</table></div>\n"
        f"{notes}\n</main>\n</body>\n</html>\n"
    )


def _leading(report: ReportReply) -> str:
    return next(name for name in report.columns if name != "jobs")


def _row(figures: Mapping[str, float], report: ReportReply, most: float) -> str:
    cells = []
    for name, text in zip(report.columns, _cells(figures, report), strict=True):
        share = 100 * figures.get(name, 0.0) / most if most and name == _leading(report) else 0.0
        bar = f'<span style="width:{share:.1f}%"></span>' if share else ""
        cells.append(f"<td>{text or '–'}{bar}</td>")
    return "".join(cells)


def moment(at_ms: int) -> str:
    """A moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ms / 1000))
