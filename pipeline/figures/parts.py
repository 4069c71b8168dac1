"""The parts of a page that are not figures. Whatever comes from a file or a parameter is escaped here."""

import re
from html import escape, unescape

from IPython.display import HTML, display

from pipeline.figures.style import plain

SECTIONS = 3  # from as many on, a page lists them


def rich(text: str) -> str:
    """Escaped, but for **strong** and `code` as in Markdown."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", plain(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


def link(text: str, address: str) -> HTML:
    return HTML(f'<a href="{escape(address)}">{escape(text)}</a>')


def cell(value) -> str:
    return value.data if isinstance(value, HTML) else escape(str(value))


def head(title: str, above: list[HTML], paragraphs: list[str]) -> None:
    """The name of the page, the way back above it, and what it says in a few sentences."""
    way = f"<nav>{' '.join(cell(part) for part in above)}</nav>" if above else ""
    first, *others = paragraphs
    text = f'<p class="lead">{rich(first)}</p>' + "".join(f"<p>{rich(other)}</p>" for other in others)
    display(HTML(f"<header>{way}<h1>{escape(title)}</h1>{text}</header>"))


def section(title: str, text: str = "") -> None:
    display(HTML(f"<h2>{escape(title)}</h2>" + (f"<p>{rich(text)}</p>" if text else "")))


def note(text: str, warning: bool = False) -> None:
    display(HTML(f'<p class="{"warning" if warning else "note"}">{rich(text)}</p>'))


def facts(pairs: dict) -> None:
    """A handful of numbers with their names."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{cell(value)}</dd></div>" for name, value in pairs.items())
    display(HTML(f"<dl>{items}</dl>"))


def pre(text: str) -> None:
    display(HTML(f"<pre>{escape(text)}</pre>"))


def table(rows: list[dict], caption: str = "", fold: str = "", half: bool = False, prose: bool = False) -> None:
    """One row per dict, its keys the heads; a column that is empty throughout is left out; numbers stand right.

    `fold`: what stands instead until a reader opens it; `half`: leaves room for a figure beside it; `prose`: cells may break
    into lines.
    """
    names = [name for name in rows[0] if any(cell(row[name]) for row in rows)]
    numeric = {name for name in names if all(re.match(r"^[-+−±]?[\d,.]*\d", cell(row[name]) or "0") for row in rows)}

    def line(tag: str, values: dict) -> str:
        marks = {name: ' class="number"' if name in numeric else "" for name in names}
        return "<tr>" + "".join(f"<{tag}{marks[name]}>{cell(values[name])}</{tag}>" for name in names) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    said = f'<p class="caption">{rich(caption)}</p>' if caption else ""
    kind = ' class="prose"' if prose else ""
    inside = f"<table{kind}><thead>{line('th', dict(zip(names, names, strict=True)))}</thead><tbody>{body}</tbody></table>"
    whole = f'<div class="block{" half" if half else ""}"><div class="table" tabindex="0">{inside}</div>{said}</div>'
    display(HTML(f"<details><summary>{escape(fold)}</summary>{whole}</details>" if fold else whole))


def settings(chosen: dict) -> None:
    """Parameters as params.yaml nests them, side by side."""
    items = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(str(value))}</dd></div>" for key, value in flat(chosen).items())
    display(HTML(f'<dl class="settings">{items}</dl>'))


def flat(settings: dict, prefix: str = "") -> dict:
    """{"network": {"latent": 8}} -> {"network.latent": 8}."""
    out = {}
    for key, value in settings.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return out


def code(sources: list[str]) -> str:
    """What the notebook ran, for readers who open it."""
    cells = "\n".join(f"<pre>{escape(source)}</pre>" for source in sources)
    return f'\n<details class="code"><summary>The code of this page</summary>\n{cells}\n</details>'


def contents(body: str) -> str:
    """Sections get names, and a page of several a list of them below its head."""
    names = {}

    def named(found: re.Match) -> str:
        text = unescape(re.sub("<.*?>", "", found[1]))
        name = re.sub(r"\W+", "-", text.lower()).strip("-")
        while name in names:
            name += "-"
        names[name] = text
        return f'<h2 id="{name}">{found[1]}</h2>'

    body = re.sub(r"<h2[^>]*>(.*?)</h2>", named, body, flags=re.S)
    links = " ".join(f'<a href="#{name}">{escape(text)}</a>' for name, text in names.items())
    if len(names) < SECTIONS:
        return body
    return body.replace("</header>", f'<nav class="contents" aria-label="On this page">{links}</nav></header>', 1)


def page(title: str, body: str, style: str) -> str:
    """The whole file: nothing in it, not even an icon, is asked of a network."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
{contents(body)}
</main>
</body>
</html>
"""
