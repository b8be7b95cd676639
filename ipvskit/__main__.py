"""`python -m ipvskit`: the command line.

Knows: where it begins. Must not know: what it does.
"""

import sys

from ipvskit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
