"""The command line: one module for each command, imported when it is asked for.

    ipvskit kube plan -f manifests/ --node node.json
    ipvskit --netns blue kube apply -f manifests/ --node node.json

Knows: nothing. Must not know: anything that takes time to import.
"""
