"""Network devices and their addresses, through rtnetlink."""
