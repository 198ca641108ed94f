"""Configurations as people and programs write them, for Hypothesis: every style, comments anywhere, any line ends."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

KEYS = st.sampled_from(["a", "mcpServers", "x y", "Ä", 'q"q', "//no", "nested", "dibs2", "é\u2028"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["", "a, b", "// no", "/* no */", "}", "ü", '"', "\\"]),
)
BLANKS = st.sampled_from(["", " ", "\n", "\n\n  ", "\t"])
COMMENTS = st.sampled_from(["// one, two }\n", "/* a, { b */", "/*\n two\n*/", " // \n"])
VALUES: SearchStrategy[object] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
SERVERS = st.dictionaries(st.sampled_from(["a", "b"]), st.fixed_dictionaries({"command": SCALARS}), max_size=2)
DOCUMENTS: SearchStrategy[dict[str, object]] = st.builds(
    lambda rest, servers: {**rest, **servers},
    st.dictionaries(KEYS.filter(lambda key: key != "mcpServers"), VALUES, max_size=3),
    st.fixed_dictionaries({}, optional={"mcpServers": SERVERS}),
)


@st.composite
def json_texts(draw: DrawFn, *, comments: bool) -> str:
    """An object as JSON: by a program's hand, or with blanks (and comments) wherever they are allowed."""
    document = draw(DOCUMENTS)
    indent = draw(st.sampled_from([None, 1, 2, 4, "\t"]))
    if draw(st.booleans()):
        text = json.dumps(document, indent=indent, ensure_ascii=False)
    else:
        text = _loose(draw, document, BLANKS | COMMENTS if comments else BLANKS)
    return (text + draw(st.sampled_from(["", "\n", "\n\n"]))).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def _loose(draw: DrawFn, value: object, gaps: SearchStrategy[str]) -> str:
    def gap() -> str:
        return draw(gaps)

    if isinstance(value, dict):
        pairs = [f"{gap()}{json.dumps(k)}{gap()}:{gap()}{_loose(draw, v, gaps)}{gap()}" for k, v in value.items()]
        return f"{{{','.join(pairs) or gap()}}}"
    if isinstance(value, list):
        return f"[{','.join(f'{gap()}{_loose(draw, each, gaps)}{gap()}' for each in value) or gap()}]"
    return json.dumps(value)


TOML_KEYS = st.sampled_from(["a", "b-c", '"x y"', "'lit'", "d.e", "f", "9"])
TOML_VALUES = st.sampled_from(
    ["1", "true", '"# no"', "'[no]'", '"""\n[mcp_servers.dibs]\n"""', "'''\n# no\n[x]'''", '[\n  ["a"],\n  [1], # c\n]',
     "{ a = 1, b = [2] }", "2026-01-02", '"""a""\\""" # no"""', '""']
)  # fmt: skip
TOML_HEADERS = st.sampled_from(
    ["[mcp_servers.other]", "[ mcp_servers . 'z z' ]", "[[list]]", "[tui]", '[projects."/p"]', "[mcp_servers]"]
)
TOML_BLANKS = st.sampled_from(["", "\n", "# a comment\n", "  # [mcp_servers.dibs]\n\n"])


@st.composite
def toml_texts(draw: DrawFn) -> str:
    """A TOML document with tables, comments and strings that look like tables."""
    parts: list[str] = []
    headers = draw(
        st.lists(TOML_HEADERS, max_size=4, unique_by=lambda header: header if header[1] != "[" else id(header))
    )
    for header in ["", *headers]:
        parts += [draw(TOML_BLANKS), f"{header}{draw(st.sampled_from(['', ' # c']))}\n" if header else ""]
        for key in draw(st.lists(TOML_KEYS, max_size=3, unique=True)):
            parts.append(f"{key} = {draw(TOML_VALUES)}{draw(st.sampled_from(['', '  # c']))}\n{draw(TOML_BLANKS)}")
    text = "".join(parts).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return text if draw(st.booleans()) else text.rstrip("\r\n")
