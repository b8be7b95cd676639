"""Completion for bash, as a script.

Knows: bash. Must not know: where the words come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.completion_tree import Kind, Node, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bash_script"]

_HEAD = """\
# Completion of ipvskit for bash, written by `ipvskit completion bash`.
_ipvskit() {
    local cur=${COMP_WORDS[COMP_CWORD]} word path= open= options= words= files= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # A word that an option before it wants, or the "=" between both.
        if [[ $open ]]; then
            [[ $word == = ]] || open=
            continue
        fi
        case "$path|$word" in
"""
_MIDDLE = """\
        esac
    done
    [[ $cur == = ]] && cur=
    case "$path|$open" in
"""
_TAIL = """\
    esac
    [[ $cur == -* && $options ]] && words=$options files=
    if [[ $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
    COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}
complete -F _ipvskit ipvskit
"""


def bash_script(root: Node) -> str:
    """The script: a walk over the words before the cursor, then what may follow there."""
    nodes = list(root.all())
    walk = [line for node in nodes for line in _steps(node)]
    offers = [line for node in nodes for line in _offers(node)]
    return _HEAD + "".join(walk) + _MIDDLE + "".join(offers) + _TAIL


def _steps(node: Node) -> Iterator[str]:
    here = " ".join(node.path)
    for option in node.options:
        if option.value is not None:
            names = " | ".join(f'"{here}|{name}"' for name in option.names)
            yield f"            {names}) open=$word ;;\n"
    for below in node.nodes:
        yield f'            "{here}|{below.path[-1]}") path="{" ".join(below.path)}" ;;\n'


def _offers(node: Node) -> Iterator[str]:
    here = " ".join(node.path)
    for option in node.options:
        if option.value is not None:
            names = " | ".join(f'"{here}|{name}"' for name in option.names)
            yield f"        {names}) {_offer(option.value)} ;;\n"
    options = [name for option in node.options for name in option.names]
    words = [below.path[-1] for below in node.nodes] + [word for value, _ in node.values for word in value.words]
    files = node.foreign or any(value.kind is Kind.FILE for value, _ in node.values)
    yield f'        "{here}|") options="{" ".join(options)}" words="{" ".join(words)}"{" files=1" if files else ""} ;;\n'


def _offer(value: Value) -> str:
    if value.kind is Kind.FILE:
        return "files=1"
    if value.kind is Kind.NETNS:
        return "words=$(command ls /run/netns 2>/dev/null)"
    return f'words="{" ".join(value.words)}"' if value.words else "return"
