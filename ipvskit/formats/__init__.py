"""Text forms of a whole state: JSON and YAML, and what `ipvsadm --save` and `ipset save` write. No I/O: texts come and go.

contents, warnings = formats.parse(text)       any form, by its content
formats.write_json(contents)                   the native form
"""

from ipvskit.formats.contents import Contents
from ipvskit.formats.detecting import detect, parse
from ipvskit.formats.document import from_dict, parse_json, to_dict, write_json, write_json_pieces
from ipvskit.formats.ipset_text import parse_ipset, write_ipset
from ipvskit.formats.ipvsadm import parse_ipvsadm
from ipvskit.formats.ipvsadm_writing import write_ipvsadm
from ipvskit.formats.yaml_text import parse_yaml, write_yaml, write_yaml_pieces

__all__ = [
    "Contents",
    "detect",
    "from_dict",
    "parse",
    "parse_ipset",
    "parse_ipvsadm",
    "parse_json",
    "parse_yaml",
    "to_dict",
    "write_ipset",
    "write_ipvsadm",
    "write_json",
    "write_json_pieces",
    "write_yaml",
    "write_yaml_pieces",
]
