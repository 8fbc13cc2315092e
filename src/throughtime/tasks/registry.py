"""The tasks by name; nothing of them is imported before it is asked for."""

from importlib import import_module
from typing import Any

from throughtime.errors import unknown_name

# The options come in files of their own, which import nothing heavy.
TASKS = {
    "classify": ("classify:Classify", "classify_options:ClassifyOptions"),
    "tag": ("tag:Tag", "tag_options:TagOptions"),
    "translate": ("translate:Translate", "translate_options:TranslateOptions"),
    "recognise": ("recognise:Recognise", "recognise_options:RecogniseOptions"),
    "caption": ("caption:Caption", "caption_options:CaptionOptions"),
    "forecast": ("forecast:Forecast", "forecast_options:ForecastOptions"),
    "music": ("music:Music", "music_options:MusicOptions"),
}


def task_class(name: str) -> Any:
    """The class of a task.

    Raises:
        InvalidValue: an unknown name.

    >>> task_class("classify").name
    'classify'
    """
    return _load(name, 0)


def options_class(name: str) -> Any:
    """The dataclass of a task's options.

    Raises:
        InvalidValue: an unknown name.
    """
    return _load(name, 1)


def _load(name: str, which: int) -> Any:
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    module, _, attribute = TASKS[name][which].partition(":")
    return getattr(import_module(f"throughtime.tasks.{module}"), attribute)
