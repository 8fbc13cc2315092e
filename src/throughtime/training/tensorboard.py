"""Training records as TensorBoard events (optional package)."""

from pathlib import Path
from typing import Any

from throughtime.errors import RunError
from throughtime.training.records import Record, StepInfo, ValidationInfo


def open_writer(folder: Path) -> Any:
    """A writer of events into ``folder``.

    Raises:
        RunError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RunError(
            "--tensorboard needs the tensorboard package: "
            "pip install 'throughtime[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder))


def write_record(writer: Any, record: Record) -> None:
    """Add one record to the events."""
    if isinstance(record, StepInfo):
        for name in ("loss", "grad_norm", "learning_rate", "tokens_per_second"):
            writer.add_scalar(f"train/{name}", getattr(record, name), record.step)
    elif isinstance(record, ValidationInfo):
        writer.add_scalar("valid/loss", record.loss, record.step)
        writer.add_scalar("valid/perplexity", record.perplexity, record.step)
    else:
        writer.add_text(record.kind, record.message, record.step)
