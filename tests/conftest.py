"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, one folder each."""
    folder = os.environ.get("THROUGHTIME_DATA")
    if not folder:
        pytest.skip("needs real data: set THROUGHTIME_DATA to the folder that has it")
    path = Path(folder)
    assert path.is_dir(), f"THROUGHTIME_DATA is {folder}, which is not a folder"
    return path
