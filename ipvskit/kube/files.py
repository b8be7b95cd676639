"""Objects of a cluster in files, as `kubectl get -o json` and people write them.

Knows: JSON and YAML, files with several documents, folders. Must not know: what is in an object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.kube.config import Config
from ipvskit.kube.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["read_config", "read_documents", "read_node", "read_objects"]

_ENDS = (".json", ".yaml", ".yml")
_NODE_KEYS = ("name", "addresses", "labels", "primary", "podCIDRs", "kernel")


def read_objects(paths: Iterable[str]) -> list[Any]:
    """All objects in these files and folders; "-" is standard input. Of a folder, files that end in .json, .yaml and .yml count, in its folders too.

    Raises OSError, InvalidConfig for a file that is no JSON and no YAML, naming the line.
    """
    return [document for path in paths for file in _files(path) for document in read_documents(file)]


def read_node(path: str) -> Node:
    """A node: a Node of the API, or `{"name": ..., "addresses": {"eth0": ["172.18.0.2/16"]}, "labels": {...}, "primary": [...]}`.

    Raises OSError, InvalidConfig.
    """
    found = _only(path)
    if found.get("kind") == "Node" or "metadata" in found:
        return Node.from_api(found)
    unknown = sorted(map(str, found.keys() - set(_NODE_KEYS)))
    if unknown:
        raise InvalidConfig(f"{path}: {unknown[0]}", found[unknown[0]], "one of " + ", ".join(_NODE_KEYS))
    given = {name: value for name, value in found.items() if value is not None}
    for name, kind in (("addresses", Mapping), ("labels", Mapping), ("primary", list), ("podCIDRs", list)):
        if not isinstance(given.get(name, kind() if kind is list else {}), kind):
            raise InvalidConfig(f"{path}: {name}", given[name], "a list" if kind is list else "an object")
    pod_cidrs = given.pop("podCIDRs", ())
    return Node(given.pop("name", ""), pod_cidrs=pod_cidrs, **given)


def read_config(path: str) -> Config:
    """A KubeProxyConfiguration; what goes beyond it stands in an object `ipvskit` of it, by the names of `Config`. Raises OSError, InvalidConfig."""
    found = dict(_only(path))
    beyond = found.pop("ipvskit", None) or {}
    known = Config.__dataclass_fields__
    for name in beyond if isinstance(beyond, Mapping) else [beyond]:
        if name not in known:
            raise InvalidConfig(f"{path}: ipvskit", name, "an object with names among " + ", ".join(known))
    return Config.from_kube_proxy(found, **beyond)


def read_documents(path: str) -> Iterator[Any]:
    """The documents of one file. Raises OSError, InvalidConfig."""
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    start = text.lstrip()[:1]
    if start in {"{", "["} and not path.endswith((".yaml", ".yml")):
        yield from _json(path, text)
    elif start:
        yield from _yaml(path, text)


def _files(path: str) -> list[str]:
    if path == "-" or not Path(path).is_dir():
        return [path]
    found = sorted(str(each) for each in Path(path).rglob("*") if each.is_file() and each.name.endswith(_ENDS))
    if not found:
        raise InvalidConfig("folder", path, "one with files that end in " + ", ".join(_ENDS))
    return found


def _only(path: str) -> Mapping[str, Any]:
    documents = [each for each in read_documents(path) if each is not None]
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise InvalidConfig(path, f"{len(documents)} documents" if len(documents) != 1 else documents[0], "one object")
    return documents[0]


def _json(path: str, text: str) -> Iterator[Any]:
    """Several may follow one another, as `kubectl get --watch -o json` writes them."""
    decoder, place = json.JSONDecoder(), 0
    try:
        while place < len(text):
            while place < len(text) and text[place].isspace():
                place += 1
            if place < len(text):
                found, place = decoder.raw_decode(text, place)
                yield from found if isinstance(found, list) else [found]
    except json.JSONDecodeError as error:
        raise InvalidConfig(f"{path}, line {error.lineno}", error.msg, "JSON") from None
    except RecursionError:
        raise InvalidConfig(path, "nested too deeply", "JSON of Kubernetes objects") from None


def _yaml(path: str, text: str) -> Iterator[Any]:
    try:
        import yaml
    except ImportError:
        raise InvalidConfig(path, "YAML", "JSON, or PyYAML to read it with (pip install 'ipvskit[yaml]')") from None

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # whichever there is
        """Times stay text, as in JSON."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in some if tag != "tag:yaml.org,2002:timestamp"]
        for first, some in Loader.yaml_implicit_resolvers.items()
    }
    try:
        for document in yaml.load_all(text, Loader=Loader):
            if isinstance(document, list):
                yield from document
            elif document is not None:
                yield document
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = path if mark is None else f"{path}, line {mark.line + 1}"
        raise InvalidConfig(place, getattr(error, "problem", None) or "something else", "YAML") from None
