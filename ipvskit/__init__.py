"""ipvskit."""
