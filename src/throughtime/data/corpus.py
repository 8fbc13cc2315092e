"""The text to train on when the user gives none."""

from throughtime.errors import DataError


def default_corpus() -> str:
    """The English language-reference topics that CPython ships as ``pydoc_data``.

    About half a million characters; they differ a little between Python versions.

    Raises:
        DataError: this Python comes without them.

    >>> "statement" in default_corpus()
    True
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            "this Python comes without pydoc_data, the built-in corpus; "
            "give a text file"
        ) from error
    return "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"
