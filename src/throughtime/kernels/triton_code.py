"""The text of Triton kernels: the operations of a schedule on the units of a row.

Phases that no product separates become one kernel; registers and spills become its
variables. A program of a kernel has one row of the batch: some of its units, or all of
them where there are sums over the row. Numbers are loaded as ``WORK``, the type of the
arithmetic; tensors are contiguous, with a row for each sequence.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from throughtime.kernels.expressions import OPERATIONS
from throughtime.kernels.program import Program
from throughtime.kernels.schedule import ROWS, Op, Phase, Place, Schedule

# What kernels call beside the language: the names of CUDA's own library.
FUNCTIONS = (
    *("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "sqrt", "floor"),
    *("normcdf", "pow"),
)
HELPERS = """
@triton.jit
def sigmoid(x):
    e = exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def softplus(x):
    return tl.where(x <= 0, 0.0, x) + log1p(exp(-tl.abs(x)))
"""

FORMS = {
    **{
        name: f"{name}({{a}})"
        for name in (*FUNCTIONS[:-2], "sigmoid", "softplus")
        if name in OPERATIONS
    },
    "copy": "{a}",
    "neg": "-{a}",
    "relu": "tl.where({a} <= 0, 0.0, {a})",
    "abs": "tl.abs({a})",
    "normal_cdf": "normcdf({a})",
    "sign": "tl.where({a} > 0, 1.0, 0.0) - tl.where({a} < 0, 1.0, 0.0)",
    "add": "{a} + {b}",
    "sub": "{a} - {b}",
    "mul": "{a} * {b}",
    "div": "{a} / {b}",
    # NaN where either is.
    "max": "tl.where(({b} > {a}) | ({b} != {b}), {b}, {a})",
    "min": "tl.where(({b} < {a}) | ({b} != {b}), {b}, {a})",
    "gt": "tl.where({a} > {b}, 1.0, 0.0)",
    "ge": "tl.where({a} >= {b}, 1.0, 0.0)",
    "eq": "tl.where({a} == {b}, 1.0, 0.0)",
    "pow": "pow({a}, {b})",
    "where": "tl.where({a} != 0, {b}, {c})",
    "sigmoid_slope": "{a} * {b} * (1.0 - {b})",
    "tanh_slope": "{a} * (1.0 - {b} * {b})",
    "fma": "{a} * {b} + {c}",
    "fnma": "{c} - {a} * {b}",
    "sigmoid_sum": "sigmoid({a} + {b})",
    "tanh_sum": "tanh({a} + {b})",
}


class Kernel(NamedTuple):
    """A kernel: what it is called, its text, and the tensors it takes.

    product: the product inside the step that comes before it, -1: none.
    whole: a program has a whole row.
    """

    name: str
    text: str
    tensors: tuple[str, ...]
    product: int = -1
    whole: bool = False


def _read(schedule: Schedule, phases: Iterable[Phase]) -> set[Place]:
    """Operands of some phases; the sums of rows as ("norm", number)."""
    found: set[Place] = set()
    for phase in phases:
        for op in phase.ops:
            found |= {op.a, op.b, op.c}
            if op.code in ("normalise", "norm_gradient"):
                row = op.b if op.code == "normalise" else op.c
                found.add(Place("norm", row.number))
        for number in phase.norms:
            norm = schedule.norms[number]
            found |= {*norm.values, *norm.others}
    return found


class Writer:
    """Writes one kernel line by line."""

    def __init__(
        self,
        name: str,
        program: Program,
        schedule: Schedule,
        lengths: bool,
        product: int = -1,
        later: Sequence[Phase] = (),
    ) -> None:
        self.name, self.program, self.schedule = name, program, schedule
        self.lengths, self.product = lengths, product
        self.later = _read(schedule, later)
        self.lines: list[str] = []
        self.tensors: set[str] = set()
        self.values: dict[object, str] = {}
        self.whole = False
        definition = program.definition
        self.fields = len(definition.fields) - 1
        # How many rows of H numbers a tensor has for each sequence.
        self.count = {
            "x": definition.x_gates,
            "h": definition.h_gates,
            "m": definition.inner[product][1] if product >= 0 else 0,
            "spill": schedule.spills,
            "c_old": self.fields,
            "c_new": self.fields,
            "mid": len(definition.inner),
            "dz": program.layout.slots,
        }

    def kernel(self) -> Kernel:
        """The finished kernel."""
        tensors = tuple(sorted(self.tensors))
        head = (
            *tensors,
            *(f"{n}: tl.constexpr" for n in ("H", "SLOTS", "BLOCK", "WORK")),
        )
        lines = [
            "@triton.jit",
            f"def {self.name}({', '.join(head)}):",
            "    row = tl.program_id(0).to(tl.int64)",
            "    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)",
            "    here = unit < H",
            *(f"    {line}" for line in self.lines),
        ]
        text = "\n".join(lines) + "\n"
        return Kernel(self.name, text, tensors, self.product, self.whole)

    # ---- lines

    def let(self, expression: str) -> str:
        """A new variable."""
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def load(self, tensor: str, at: str) -> str:
        """Numbers of a row, loaded once."""
        key = (tensor, at)
        if key not in self.values:
            self.tensors.add(tensor)
            loaded = f"tl.load({tensor} + {at}, here, 0.0).to(WORK)"
            self.values[key] = self.let(loaded)
        return self.values[key]

    def flag(self, tensor: str, at: str = "row") -> str:
        """A condition, of the whole row or of each unit."""
        key = (tensor, at, "!= 0")
        if key not in self.values:
            self.tensors.add(tensor)
            inside = "" if at == "row" else ", here, 0"
            self.values[key] = self.let(f"tl.load({tensor} + {at}{inside}) != 0")
        return self.values[key]

    def store(self, tensor: str, at: str, value: str) -> None:
        """Numbers of a row."""
        self.tensors.add(tensor)
        self.lines.append(f"tl.store({tensor} + {at}, {value}, here)")

    def at(self, place: Place) -> str:
        """Where a row of numbers lies in its tensor."""
        kind, number = place
        if kind == "param":
            return f"{number} * H + unit"
        count = "SLOTS" if kind == "saved" else self.count.get(kind, 1)
        return f"(row * {count} + {number}) * H + unit"

    def field(self, field: int) -> tuple[str, str]:
        """The grid of a field of the state, h or c, and where it lies in a row."""
        if field == 0:
            return "h", "row * H + unit"
        return "c", f"(row * {self.fields} + {field - 1}) * H + unit"

    # ---- operations

    def run(self, phase: Phase) -> None:
        """The operations of a phase and the sums behind them."""
        for op in phase.ops:
            self.operation(op)
        for number in phase.norms:
            self.sums(number)

    def operation(self, op: Op) -> None:
        """One operation."""
        if op.code in ("store", "store_far"):
            self.sink(op.out, self.value(op.a))
        elif op.code == "accumulate":
            at = f"(row * {self.program.definition.rows} + {op.out.number}) * H + unit"
            part = self.existing(self.value(op.a))
            self.store("sums", at, f"{self.load('sums', at)} + {part}")
        elif op.code == "load":
            known = self.values.get(op.a)
            self.put(op.out, known or self.load(op.a.kind, self.at(op.a)))
        elif op.code == "normalise":
            mean, rate = self.moments(op.b.number)
            self.put(op.out, f"({self.value(op.a)} - {mean}) * {rate}")
        elif op.code == "norm_gradient":
            dy, y, number = self.value(op.a), self.value(op.b), op.c.number
            first, second = self.moments(number)
            rate = f"tl.load({self.rate(number)}).to(WORK)"
            self.put(op.out, f"{rate} * ({dy} - {first} - {y} * {second})")
        else:
            read = (op.a, op.b, op.c)[: OPERATIONS[op.code]]
            named = dict(zip("abc", map(self.value, read), strict=False))
            self.put(op.out, FORMS[op.code].format(**named))

    def value(self, place: Place) -> str:
        """The variable that holds an operand."""
        if place in self.values:
            return self.values[place]
        if place.kind == "const":
            number = self.program.constants[place.number]
            text = repr(number) if abs(number) < 1e308 else f'float("{number}")'
            self.values[place] = self.let(f"tl.full([BLOCK], {text}, WORK)")
            return self.values[place]
        assert place.kind not in (*ROWS, "register", "dh"), place
        return self.load(place.kind, self.at(place))

    def put(self, place: Place, expression: str) -> None:
        """Results; those that a later kernel reads go to memory as well."""
        self.values[place] = value = self.let(expression)
        if place.kind == "spill" and place in self.later:
            self.store("spill", self.at(place), value)

    def sink(self, place: Place, value: str) -> None:
        """What a step leaves behind."""
        self.store(place.kind, self.at(place), value)

    # ---- rows

    def sums(self, number: int) -> None:
        """Mean and rate of a normalised row, or the two means of its gradient."""
        norm = self.schedule.norms[number]
        self.whole = True
        values = [self.value(place) for place in norm.values]

        def mean(parts: Iterable[str]) -> str:
            added = " + ".join(f"tl.where(here, {part}, 0.0)" for part in parts)
            return self.let(f"tl.sum({added}) / ({len(values)} * H)")

        if norm.others:
            pairs = zip(values, map(self.value, norm.others), strict=True)
            first, second = mean(values), mean([f"{v} * {o}" for v, o in pairs])
        else:
            first = mean(values)
            spread = mean([f"({v} - {first}) * ({v} - {first})" for v in values])
            second = self.let(f"1.0 / sqrt({spread} + {norm.eps!r})")
            if self.program.variant.save:
                self.lines.append(f"tl.store({self.rate(number)}, {second})")
        self.values["moments", number] = f"{first} {second}"
        if Place("norm", number) in self.later:
            self.tensors.add("moments")
            for k, one in enumerate((first, second)):
                self.lines.append(f"tl.store({self._moment(number, k)}, {one})")

    def moments(self, number: int) -> tuple[str, str]:
        """The variables of ``sums``, which an earlier kernel may have computed."""
        if ("moments", number) not in self.values:
            self.tensors.add("moments")
            pair = [self.let(f"tl.load({self._moment(number, k)})") for k in range(2)]
            self.values["moments", number] = " ".join(pair)
        first, second = self.values["moments", number].split()
        return first, second

    def _moment(self, number: int, k: int) -> str:
        return f"moments + row * {2 * self.program.rows} + {2 * number + k}"

    def rate(self, number: int) -> str:
        """Where the rate of a row is kept for the backward pass."""
        self.tensors.add("saved")
        return f"saved + (row * SLOTS + {self.program.kept}) * H + {number}"

    def existing(self, value: str, otherwise: str = "0.0") -> str:
        """``value`` where the step exists for this sequence."""
        if not self.lengths:
            return value
        return f"tl.where({self.flag('valid')}, {value}, {otherwise})"
