"""The words of ipset's command line: commands, options, and lines made words.

Knows: names, short forms and how lines are split. Must not know: what is done.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "MOST_WORDS", "OPTIONS", "CommandWord", "OptionWord", "SplitError", "find_command", "split_line"]

MOST_WORDS = 30


class CommandWord:
    """A command: its names, how many words it needs (`optional`: may have one), and its text in the help."""

    __slots__ = ("about", "name", "needs", "optional", "others")

    def __init__(self, name: str, others: tuple[str, ...], needs: int, optional: bool, about: str) -> None:
        self.name = name
        self.others = others
        self.needs = needs
        self.optional = optional
        self.about = about


class OptionWord:
    """An option: its two names, the field of `Options`, whether a value follows, and its text in the help."""

    __slots__ = ("about", "field", "long", "name", "value")

    def __init__(self, name: str, long: str, field: str, value: bool, about: str) -> None:
        self.name = name
        self.long = long
        self.field = field
        self.value = value
        self.about = about


#: The first one that a word is the beginning of is meant.
COMMANDS = (
    CommandWord(
        "create", ("new", "-N"), 2, False, "SETNAME TYPENAME [type-specific-options]\n        Create a new set"
    ),
    CommandWord("add", ("-A",), 2, False, "SETNAME ENTRY\n        Add entry to the named set"),
    CommandWord("del", ("-D",), 2, False, "SETNAME ENTRY\n        Delete entry from the named set"),
    CommandWord("test", ("-T",), 2, False, "SETNAME ENTRY\n        Test entry in the named set"),
    CommandWord("destroy", ("x", "-X"), 0, True, "[SETNAME]\n        Destroy a named set or all sets"),
    CommandWord("list", ("-L",), 0, True, "[SETNAME]\n        List the entries of a named set or all sets"),
    CommandWord("save", ("-S",), 0, True, "[SETNAME]\n        Save the named set or all sets to stdout"),
    CommandWord("restore", ("-R",), 0, False, "\n        Restore a saved state"),
    CommandWord("flush", ("-F",), 0, True, "[SETNAME]\n        Flush a named set or all sets"),
    CommandWord("rename", ("e", "-E"), 2, False, "FROM-SETNAME TO-SETNAME\n        Rename two sets"),
    CommandWord(
        "swap", ("w", "-W"), 2, False, "FROM-SETNAME TO-SETNAME\n        Swap the contect of two existing sets"
    ),
    CommandWord("help", ("-h", "-H"), 0, True, "[TYPENAME]\n        Print help, and settype specific help"),
    CommandWord("version", ("-v", "-V"), 0, False, "\n        Print version information"),
    CommandWord("quit", (), 0, False, "\n        Quit interactive mode"),
)
#: Looked for in this order, each on the whole line.
OPTIONS = (
    OptionWord(
        "-o",
        "-output",
        "mode",
        True,
        "plain|save|xml\n       Specify output mode for listing sets.\n"
        '       Default value for "list" command is mode "plain"\n       and for "save" command is mode "save".',
    ),
    OptionWord("-s", "-sorted", "sorted", False, "\n        Print elements sorted (if supported by the set type)."),
    OptionWord("-q", "-quiet", "quiet", False, "\n        Suppress any notice or warning message."),
    OptionWord("-r", "-resolve", "resolve", False, "\n        Try to resolve IP addresses in the output (slow!)"),
    OptionWord(
        "-!",
        "-exist",
        "exist",
        False,
        "\n        Ignore errors when creating or adding sets or\n"
        "        elements that do exist or when deleting elements\n        that don't exist.",
    ),
    OptionWord("-n", "-name", "names", False, "\n        When listing, just list setnames from the kernel.\n"),
    OptionWord(
        "-t",
        "-terse",
        "terse",
        False,
        "\n        When listing, list setnames and set headers\n        from kernel only.",
    ),
    OptionWord(
        "-f",
        "-file",
        "file",
        True,
        "\n        Read from the given file instead of standard\n"
        "        input (restore) or write to given file instead\n        of standard output (list/save).",
    ),
)


def find_command(word: str) -> CommandWord | None:
    """The command that a word, or its beginning, names; two dashes before it do not count."""
    begin = word.removeprefix("--")
    if not begin or word == "-":
        return None
    for command in COMMANDS:
        if any(name.startswith(begin) for name in (command.name, *command.others)):
            return command
    return None


class SplitError(Exception):
    """A line that cannot be made words."""


def split_line(line: str) -> list[str]:
    """The words of a line. Quotes keep blanks together, and go. Raises SplitError."""
    words: list[str] = []
    word = ""
    quoted = False
    last = len(line) - 1
    for place, sign in enumerate(line):
        if len(words) == MOST_WORDS:
            raise SplitError("Line is too long to parse.")
        if sign == '"':
            quoted = not quoted
            if place < last:
                continue
        elif sign in " \r\n\t":
            if quoted:
                word += sign
                continue
        else:
            word += sign
            if place < last:
                continue
        if place == last and quoted:
            raise SplitError("Missing close quote!")
        if word:
            words.append(word)
            word = ""
    return words
