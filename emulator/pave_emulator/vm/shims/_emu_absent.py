"""In the place of modules that the host's VM has and the board has not.

Known gap: a module built into the VM cannot be taken out of it, so that `import` itself succeeds; nothing of it can be
had.
"""


class Absent:
    def __init__(self, name):
        self.__name__ = name

    def __getattr__(self, attribute):
        raise ImportError("no module named '{}'".format(self.__name__))
