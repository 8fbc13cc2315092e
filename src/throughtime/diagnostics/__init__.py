"""See inside a recurrent network."""

from throughtime.diagnostics.gradient_flow import GradientFlow as GradientFlow
from throughtime.diagnostics.gradient_flow import gradient_flow as gradient_flow
