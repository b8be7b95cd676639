"""A row of the connection table.

Knows: connections and persistence templates. Must not know: where they are read from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.model.address import endpoint_text

if TYPE_CHECKING:
    from ipvskit.model.address import IPAddress

__all__ = ["Connection"]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection, or a persistence template: a client network's assignment to a real server.

    `expires` is in seconds. `protocol` is in lower case ("tcp"; "ip" for templates of firewall marks), `state` in the kernel's words
    ("ESTABLISHED"). `destination` may be of the other family than `client` and `virtual` (tunnels). `engine` and `engine_data` come from a
    persistence engine, such as "sip" and a call id. For a template the client port is 0.
    """

    protocol: str
    client: IPAddress
    client_port: int
    virtual: IPAddress
    virtual_port: int
    destination: IPAddress
    destination_port: int
    state: str
    expires: int
    engine: str | None = None
    engine_data: str | None = None

    @property
    def is_template(self) -> bool:
        """Whether this is a persistence template."""
        return self.client_port == 0

    def __str__(self) -> str:
        places = (
            (self.client, self.client_port),
            (self.virtual, self.virtual_port),
            (self.destination, self.destination_port),
        )
        text = " -> ".join(endpoint_text(address, port) for address, port in places)
        return f"{self.protocol} {text} {self.state} {self.expires}s"
