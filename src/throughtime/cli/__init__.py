"""The command line: ``throughtime train lm``, ``evaluate``, ``generate``, ``cells``.

Nothing heavy is imported here, so that ``throughtime --help`` answers at once.
"""

import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors of the user end as one sentence, not a traceback.

    Exit status: 0 done, 1 an error of the data or the run, 2 wrong usage, 130 stopped
    by the keyboard.
    """
    from typer import Exit
    from typer.exceptions import Abort, TyperException

    from throughtime.cli.app import app
    from throughtime.errors import TeamStopped, ThroughtimeError

    status: object = None
    try:
        status = app(arguments, prog_name="throughtime", standalone_mode=False)
    except TyperException as error:
        # All processes of a team have the same arguments; one of them complains.
        first = os.environ.get("RANK", "0") == "0"
        _fail(error.format_message() if first else "", error.exit_code)
    except TeamStopped:
        sys.exit(1)  # another process has said why
    except ThroughtimeError as error:
        _fail(str(error), 1)
    except OSError as error:
        # Files the package itself reads are checked where they are read; what comes
        # here is the system's word on folders and disks, already a sentence.
        _fail(str(error), 1)
    except (Abort, KeyboardInterrupt):
        _fail("stopped; continue a training with --resume", 130)
    except Exit as exit_:
        sys.exit(exit_.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    sentence = " ".join(message.split())
    if sentence:  # none where the help text was shown instead
        print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(status)
