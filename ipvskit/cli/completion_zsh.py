"""Completion for zsh, as a script.

Knows: zsh's _arguments. Must not know: where the words come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.completion_tree import Kind, Node, Option, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["zsh_script"]

_HEAD = """\
#compdef ipvskit
# Completion of ipvskit for zsh, written by `ipvskit completion zsh`.
_ipvskit_netns() {
    local -a names=(/run/netns/*(N:t))
    _describe 'network namespace' names
}
"""
#: Found by name in $fpath the file is the function's body; read by `source` it is not.
_TAIL = """\
if [[ $funcstack[1] == _ipvskit ]]; then
    _ipvskit "$@"
else
    compdef _ipvskit ipvskit
fi
"""


def zsh_script(root: Node) -> str:
    """The script: a function for every command, the innermost ones first."""
    functions = ["".join(_function(node)) for node in root.all()]
    return _HEAD + "".join(reversed(functions)) + _TAIL


def _name(node: Node) -> str:
    return "_".join(["_ipvskit", *node.path])


def _function(node: Node) -> Iterator[str]:
    yield f"{_name(node)}() {{\n"
    if node.foreign:
        yield "    _files\n}\n"
        return
    specs = [spec for option in node.options for spec in _option(option)]
    specs += [_argument(value, number, many) for number, (value, many) in enumerate(node.values, 1)]
    if node.nodes:
        yield "    local context state state_descr line\n    typeset -A opt_args\n    local -a commands=(\n"
        yield from (f"        {_quoted(_plain(below.path[-1]) + ':' + below.help)}\n" for below in node.nodes)
        yield "    )\n"
        specs += ["'1:command:{_describe command commands}'", "'*::argument:->rest'"]
    flag = "-C " if node.nodes else ""
    yield f"    _arguments {flag}\\\n        " + " \\\n        ".join(specs) + "\n"
    if node.nodes:
        yield "    [[ $state == rest ]] || return\n    case $line[1] in\n"
        yield from (f"        {below.path[-1]}) {_name(below)} ;;\n" for below in node.nodes)
        yield "    esac\n"
    yield "}\n"


def _option(option: Option) -> Iterator[str]:
    """One specification for each name; names that mean the same exclude each other unless they may be repeated."""
    for name in option.names:
        others = "*" if option.repeated else f"({' '.join(option.names)})"
        value = "" if option.value is None else f":{_plain(option.value.name)}:{_action(option.value)}"
        yield _quoted(f"{others}{name}[{_plain(option.help)}]{value}")


def _argument(value: Value, number: int, many: bool) -> str:
    return _quoted(f"{'*' if many else number}:{_plain(value.name)}:{_action(value)}")


def _action(value: Value) -> str:
    if value.kind is Kind.FILE:
        return "_files"
    if value.kind is Kind.NETNS:
        return "_ipvskit_netns"
    # An empty list, not a message: behind a message options are not offered any more.
    return f"({' '.join(value.words)})"


def _plain(text: str) -> str:
    """Without what _arguments would take for its own."""
    return "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
