"""Compiled steps: whether they are there, and their time loops on plain tensors."""

from throughtime.kernels.definitions import define as define
from throughtime.kernels.definitions import definition_of as definition_of
from throughtime.kernels.definitions import program_of as program_of
from throughtime.kernels.dispatch import backward as backward
from throughtime.kernels.dispatch import backward_both as backward_both
from throughtime.kernels.dispatch import forward as forward
from throughtime.kernels.dispatch import forward_both as forward_both
from throughtime.kernels.expressions import Definition as Definition
from throughtime.kernels.library import Library as Library
from throughtime.kernels.library import library as library
from throughtime.kernels.library import missing as missing
from throughtime.kernels.output import output_loss as output_loss
from throughtime.kernels.program import Variant as Variant
from throughtime.kernels.recurrence import Inputs as Inputs
from throughtime.kernels.recurrence import Outputs as Outputs
from throughtime.kernels.segments import backward_by_segments as backward_by_segments
from throughtime.kernels.segments import border_count as border_count
from throughtime.kernels.segments import border_states as border_states
from throughtime.kernels.stream import CoreStream as CoreStream
from throughtime.kernels.triton_build import triton_missing as triton_missing
