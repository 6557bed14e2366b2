"""Stands for a module that Python 3.13 dropped: the SDK imports one name of it and never calls it."""


def subst(*_arguments):
    raise NotImplementedError
