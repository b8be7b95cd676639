"""What was found wrong, or was not done as written.

Knows: the kinds of findings. Must not know: how they are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Code", "Diagnostic", "Unusable"]


class Code(StrEnum):
    """What kind of finding it is."""

    #: The object, or the part of it that the subject names, could not be read and counts for nothing.
    INVALID_OBJECT = "invalid-object"
    #: One endpoint of a slice cannot be a real server.
    INVALID_ENDPOINT = "invalid-endpoint"
    #: A name is longer than the API admits; the object is used all the same.
    NAME_TOO_LONG = "name-too-long"
    #: An annotation of ours has a value that cannot be; the default is used.
    BAD_ANNOTATION = "bad-annotation"
    #: Direct routing and tunnels cannot change ports; the virtual service masquerades instead.
    FORWARDING_IMPOSSIBLE = "forwarding-impossible"
    #: Two service ports want the same address, port and protocol; the older Service has it.
    CONFLICT = "conflict"
    REFUSED_EXTERNAL_IP = "refused-external-ip"
    #: An external IP is the node's own address: what listens there on the same port is cut off.
    NODE_ADDRESS = "node-address"
    REFUSED_INGRESS_IP = "refused-ingress-ip"
    #: A source range that is no network.
    IGNORED_SOURCE_RANGE = "ignored-source-range"
    #: A source range of all addresses: nothing is filtered.
    OPEN_SOURCE_RANGES = "open-source-ranges"
    #: There are source ranges, and none of them for this family: nothing is filtered, unless the configuration says otherwise.
    NO_SOURCE_RANGES_OF_FAMILY = "no-source-ranges-of-family"
    #: The policy asks for endpoints on this node, and there are none.
    NO_LOCAL_ENDPOINTS = "no-local-endpoints"
    #: The node has no address for node ports in this family.
    NO_NODE_ADDRESS = "no-node-address"
    #: The kernel is older than anything that connections' reuse can be set right for.
    KERNEL_TOO_OLD = "kernel-too-old"


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding: `about` is the object ("Service default/web"), `subject` the part or the value, `message` says what came of it."""

    code: Code
    about: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.about}: {self.code}: {self.subject}: {self.message}"


class Unusable(Exception):
    """An object, or a part of it, that cannot be used: the field and what was expected. Never leaves this package."""

    def __init__(self, subject: str, message: str) -> None:
        super().__init__(subject, message)
        self.subject = subject
        self.message = message
