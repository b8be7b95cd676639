"""Takes the pictures of the documentation: the command line on a terminal, beside traffic on a real kernel.

    python -m tests.where python -m tests.pictures [FOLDER]

Knows: what is worth a picture. Must not know: how pictures are drawn.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ipvskit as ik
from tests.lab import site as lab
from tests.pictures.drawing import drawn
from tests.pictures.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyte

    from tests.lab.site import Site

_FOLDER = Path("docs/pictures")
#: Seconds of traffic on the picture, and in which it swells and fades.
_WATCHED, _WAVE = 62.0, 24.0


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with lab.opened(vips=["192.0.2.10", "2001:db8::10"]) as site, _busy(site):
        for name, title, picture in _pictures(site):
            (folder / f"{name}.svg").write_text(drawn(picture, title))
    return 0


@contextlib.contextmanager
def _busy(site: Site) -> Iterator[None]:
    """Three services, one with a real server that drains; two have traffic, each at its own pace."""
    ended = threading.Event()
    web = site.add("wrr", key=ik.ServiceKey.parse("192.0.2.10:443/tcp"), weights=(100, 100, 50))
    mail = site.add("rr", key=ik.ServiceKey.parse("[2001:db8::10]:443/tcp"), weights=(1, 1))
    site.add("wlc", key=ik.ServiceKey.parse("192.0.2.10:25/tcp"), weights=(1, 1))
    paces = {web: 0.02, mail: 0.1}

    def ask(key: ik.ServiceKey, pause: float) -> None:
        while not ended.wait(pause * (1.6 + math.sin(time.monotonic() * math.tau / _WAVE + pause * 9))):
            site.client.ask(key)

    threads = [threading.Thread(target=ask, args=each) for each in paces.items()]
    with site.client.held(web, 9), site.client.held(mail, 4):
        site.ipvs.update_real(mail, site.real("r2", mail).endpoint, weight=0)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _pictures(site: Site) -> Iterator[tuple[str, str, pyte.Screen]]:
    director = f"/proc/{os.getpid()}/fd/{site.kernel.netns.fileno()}"
    command = [sys.executable, "-m", "ipvskit", "-n", director]
    with Screen([*command, "top", "--interval", "0.5"], 112, 16) as shown:
        shown.watch(_WATCHED)
        shown.type("a")
        shown.watch(2)
        yield "top", "ipvskit top: services and real servers with connections, rates and the last minute", shown.picture
        shown.pull(60, 14)
        shown.watch(2)
        yield "top-narrow", "the same on a terminal of 60 columns", shown.picture
    tables = {
        "show": ("ipvskit show: services and their real servers", ["show", "services"]),
        "show-rate": ("ipvskit show services --rate", ["show", "services", "--rate"]),
    }
    for name, (title, words) in tables.items():
        with Screen([*command, *words], 96, 30) as shown:
            shown.watch(5)
            yield name, title, shown.picture


if __name__ == "__main__":
    sys.exit(main())
