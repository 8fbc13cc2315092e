"""Music: which keys sound at the next step of a piano roll, and pieces made of that."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import from_entries, positive_int
from throughtime.data.examples import Examples
from throughtime.data.midi import Roll, write_midi
from throughtime.data.music import (
    PARTS,
    Piece,
    from_frames,
    known_frames,
    parse_pieces,
    pitch_names,
    read_pieces,
    to_frames,
)
from throughtime.errors import DataError, InvalidType
from throughtime.models.network import NetworkConfig
from throughtime.models.piano_roll import PianoRollModel
from throughtime.tasks.music_baselines import fit_baselines
from throughtime.tasks.music_options import MusicOptions
from throughtime.tasks.task import Evaluation, RawExample, Task

if TYPE_CHECKING:
    from throughtime.report import Section

BATCH = 64
# What a report shows: a piece made by the network, begun with so many real steps.
SHOWN, BEGUN = 64, 8


class Music(Task):
    """The next frame of piano rolls.

    A raw example's input is a ``Piece``, its target the same roll: from its second step
    on each step is to be foretold from all before it, as in the literature. Figures are
    nats per frame, averaged over all frames of all pieces.

    Attributes:
        options: see ``MusicOptions``.
        openings: first chords of the training pieces, with which music begins where
            nothing else is asked for.
    """

    name: ClassVar[str] = "music"
    options_type: ClassVar[type] = MusicOptions
    config_type: ClassVar[type] = NetworkConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "cell": "lstm",
        "hidden_size": 128,
        "dropout": 0.3,
        "optimizer": "adam",
        "learning_rate": 0.003,
        "max_norm": 1.0,
        "batch_size": 8,
        "epochs": 150,
    }

    def __init__(self, options: MusicOptions, openings: Sequence[Sequence[int]]):
        self.options: MusicOptions = options
        self.openings = [tuple(chord) for chord in openings]

    @classmethod
    def read(cls, files: Sequence[Path], options: MusicOptions) -> list[RawExample]:
        """The pieces of JSON and MIDI files and of folders of MIDI files."""
        pieces = [p for file in files for p in read_pieces(file, step=options.step)]
        return [_raw(piece) for piece in pieces]

    @classmethod
    def own_parts(
        cls, raw: Sequence[RawExample], options: MusicOptions
    ) -> dict[str, list[RawExample]] | None:
        """What the files themselves hold out: ``train``, ``valid``, ``test``, or some.

        Returns:
            None if they do not say.

        Raises:
            DataError: one file says so, another does not.
        """
        del options
        parts = {example.input.part for example in raw}
        if parts <= {None}:
            return None
        if None in parts:
            named = next(e.where for e in raw if e.input.part)
            bare = next(e.where for e in raw if not e.input.part)
            raise DataError(
                f"{named} belongs to a part of its file, but {bare} to none; "
                "give files of one kind"
            )
        return {
            name: [example for example in raw if example.input.part == name]
            for name in PARTS
            if name in parts
        }

    @classmethod
    def measured(
        cls, raw: Sequence[RawExample], options: MusicOptions
    ) -> list[RawExample]:
        """The test part where a file names its parts, else all pieces."""
        parts = cls.own_parts(raw, options) or {}
        return list(parts.get("test") or raw)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: MusicOptions) -> Self:
        """Learn the first chords.

        Raises:
            DataError: no piece has a note in a step that another one precedes.
        """
        rolls = [example.input.roll for example in raw]
        if not any(step for roll in rolls for step in roll[1:]):
            raise DataError(
                f"none of {len(raw)} pieces has two steps, the second with a note; "
                "there is nothing to learn from"
            )
        openings = {next((step for step in roll if step), None) for roll in rolls}
        return cls(options, sorted(chord for chord in openings if chord))

    def to_dict(self) -> dict[str, Any]:
        """Options and first chords."""
        return {
            "options": asdict(self.options),
            "openings": [list(chord) for chord in self.openings],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The task that ``to_dict`` wrote."""
        options = from_entries(MusicOptions, values["options"], "option of music")
        return cls(options, values["openings"])

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        """Frames to read, and the frame after each; T - 1 of each for T steps.

        Without ``labelled`` all T frames are read.
        """
        rolls = [example.input.roll for example in raw]
        frames = [to_frames(roll) for roll in rolls]
        known = [known_frames(roll) for roll in rolls]
        cut = -1 if labelled else None
        sequences = {"inputs": [part[:cut] for part in frames]}
        if labelled:
            sequences["targets"] = [part[1:] for part in frames]
        if not all(bool(part.all()) for part in known):
            sequences["inputs_present"] = [part[:cut] for part in known]
            if labelled:
                sequences["targets_mask"] = [part[1:] for part in known]
        return Examples(sequences)

    def build(self, config: NetworkConfig) -> PianoRollModel:
        """The model, with fresh weights."""
        return PianoRollModel(config)

    @torch.no_grad()
    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        """Nats per frame, and accuracy: TP / (TP + FP + FN) of keys likelier than not.

        The accuracy is that of Bay, Ehmann and Downie, "Evaluation of
        multiple-F0 estimation and tracking systems", ISMIR 2009.
        """
        del raw
        logits: list[Tensor] = []
        for batch in examples.batches(BATCH):
            odds, lengths = model(batch), batch["inputs_lengths"].tolist()
            logits += [odds[:steps, b] for b, steps in enumerate(lengths)]
        return _measure(logits, examples)

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        """Static and Markov chances of each key, and linear ones of recent frames."""
        known, asked = self.encode(train), self.encode(raw)
        fitted = fit_baselines(
            known.sequences["inputs"], known.sequences["targets"], _masks(known)
        )
        return {
            name: _measure([forecast(x) for x in asked.sequences["inputs"]], asked)
            for name, forecast in fitted.items()
        }

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        """The pieces of a file or folder, or those of a JSON text."""
        if isinstance(source, Path):
            return self.read([source], self.options)
        if not source.lstrip().startswith(("[", "{")):
            raise DataError(
                f"{source} does not exist; give a JSON or MIDI file, a folder of them, "
                "or a piece as JSON: [[60, 64], [62]]"
            )
        return [_raw(piece) for piece in parse_pieces(source, "input")]

    def predict(
        self,
        model: nn.Module,
        raw: Sequence[RawExample],
        *,
        folder: Path | None = None,
    ) -> list[dict[str, Any]]:
        """Go on with each piece for ``options.continuation`` steps.

        Args:
            model: a ``PianoRollModel`` in eval mode.
            raw: pieces of at least one step.
            folder: where each piece with its continuation is written as a MIDI file.

        Returns:
            For each piece ``steps``, the pitches of the new steps, ``text``, their
            names, and where it was written ``file``.
        """
        answers: list[dict[str, Any]] = []
        for number, example in enumerate(raw, 1):
            added = self._continue(
                model, example.input, self.options.continuation, 1.0, seed=0
            )
            answer = _answer(added)
            if folder is not None:
                answer["file"] = str(folder / f"{number:03d}.mid")
                self._write(Path(answer["file"]), [*example.input.roll, *added])
            answers.append(answer)
        return answers

    def generate(
        self,
        model: nn.Module,
        *,
        length: int,
        temperature: float = 1.0,
        seed: int = 0,
        prompt: Path | str | None = None,
        out: Path | None = None,
    ) -> dict[str, Any]:
        """Make a piece of music.

        Args:
            model: a ``PianoRollModel`` in eval mode.
            length: steps to add to the prompt.
            temperature: see ``PianoRollModel.generate``.
            seed: the same seed makes the same music.
            prompt: file or JSON text, whose first piece is continued; default: the
                first chord of a training piece, drawn at random.
            out: MIDI file to write prompt and continuation to.

        Returns:
            ``steps``, the pitches of every step with the prompt's; ``text``, their
            names; and ``file`` if one was written.

        Raises:
            DataError: the prompt cannot be used, or the file not be written.
        """
        positive_int("length", length)
        if prompt is None:
            draw = torch.Generator().manual_seed(seed)
            index = int(torch.randint(len(self.openings), (), generator=draw))
            piece = Piece([self.openings[index]], "an opening")
        else:
            piece = self.read_inputs(prompt)[0].input
        added = self._continue(model, piece, length, temperature, seed)
        whole = [*piece.roll, *added]
        answer = _answer(whole)
        if out is not None:
            self._write(out, whole)
            answer["file"] = str(out)
        return answer

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        """A real piece, and one that the network made of its beginning."""
        del evaluation
        from throughtime.plots.piano_roll import piano_rolls
        from throughtime.report import Figure, Section

        pieces = [example.input for example in raw if len(example.input.roll) > BEGUN]
        if not pieces:
            return []
        real = pieces[0].roll[:SHOWN]
        begun = pieces[0]._replace(roll=real[:BEGUN])
        made = self._continue(model, begun, len(real) - BEGUN or 1, 1.0, seed=0)
        rolls = {"as written": real, "by the network": [*real[:BEGUN], *made]}
        name = Path(pieces[0].where).name
        figure = Figure(
            lambda dark: piano_rolls(rolls, begun=BEGUN, dark=dark),
            f"Piano rolls of {name}, as written and as the network goes on.",
            f"Steps of a {self.options.step} note from left to right, keys from low to "
            f"high. Up to the line, after {BEGUN} steps, both are {name}; "
            "from there on the network draws each step from its own chances.",
        )
        return [Section("A piece, and what the network makes of it", figure=figure)]

    def describe(self) -> str:
        """In one line."""
        return f"88 keys, {len(self.openings):,} first chords"

    def _continue(
        self,
        model: nn.Module,
        piece: Piece,
        length: int,
        temperature: float,
        seed: int,
    ) -> Roll:
        if not isinstance(model, PianoRollModel):
            raise InvalidType(
                f"model should be a PianoRollModel, got: {type(model).__name__}"
            )
        if not piece.roll:
            raise DataError(
                f"{piece.where} has no steps; there is nothing to go on from"
            )
        frames = model.generate(
            to_frames(piece.roll).to(model.output.weight),
            length,
            temperature=temperature,
            most_notes=self.options.most_notes,
            generator=torch.Generator(model.output.weight.device).manual_seed(seed),
        )
        return from_frames(frames)

    def _write(self, path: Path, roll: Roll) -> None:
        write_midi(path, roll, step=self.options.step, tempo=self.options.tempo)


def _raw(piece: Piece) -> RawExample:
    return RawExample(piece, piece.roll, piece.where)


def _answer(roll: Roll) -> dict[str, Any]:
    steps = [None if step is None else list(step) for step in roll]
    names = ["?" if step is None else pitch_names(step) for step in roll]
    return {"steps": steps, "text": " | ".join(names)}


def _masks(examples: Examples) -> list[Tensor]:
    """Which steps count, as bool (T,) for each piece."""
    if "targets_mask" in examples.sequences:
        return list(examples.sequences["targets_mask"])
    return [torch.ones(int(n), dtype=torch.bool) for n in examples.lengths]


def _measure(logits: Sequence[Tensor], examples: Examples) -> Evaluation:
    """The figures of log-odds (T, K), one tensor for each example."""
    parts = zip(logits, examples.sequences["targets"], _masks(examples), strict=True)
    kept = [(odds[mask].cpu(), y[mask]) for odds, y, mask in parts]
    if not any(len(y) for _, y in kept):
        raise DataError("no piece has a second step, so there is nothing to foretell")
    odds = torch.cat([part for part, _ in kept]).double()
    wanted = torch.cat([part for _, part in kept]).double()
    nats = F.binary_cross_entropy_with_logits(odds, wanted, reduction="sum")
    said, true = odds > 0, wanted > 0
    either = int((said | true).sum())
    return Evaluation(
        {
            "nats_per_frame": float(nats) / len(wanted),
            "accuracy": int((said & true).sum()) / either if either else 1.0,
        }
    )
