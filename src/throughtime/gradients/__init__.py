"""Gradients through time, term by term."""

from throughtime.gradients.decomposition import Decomposition as Decomposition
from throughtime.gradients.decomposition import decompose as decompose
from throughtime.gradients.depth import Depth as Depth
from throughtime.gradients.depth import depth as depth
from throughtime.gradients.descent import LossChange as LossChange
from throughtime.gradients.descent import loss_change as loss_change
from throughtime.gradients.graph import graph as graph
from throughtime.gradients.jacobians import Jacobians as Jacobians
from throughtime.gradients.jacobians import jacobians as jacobians
from throughtime.gradients.linear_network import LinearNetwork as LinearNetwork
from throughtime.gradients.linear_network import linear_network as linear_network
from throughtime.gradients.norm_bound import NormBound as NormBound
from throughtime.gradients.norm_bound import norm_bound as norm_bound
from throughtime.gradients.output_jacobian import output_jacobian as output_jacobian
from throughtime.gradients.paths import Path as Path
from throughtime.gradients.paths import count_paths as count_paths
from throughtime.gradients.paths import paths as paths
from throughtime.gradients.real_time import OnlineStep as OnlineStep
from throughtime.gradients.real_time import (
    real_time_recurrent_learning as real_time_recurrent_learning,
)
from throughtime.gradients.recursion import closed_form as closed_form
from throughtime.gradients.recursion import closed_form_terms as closed_form_terms
from throughtime.gradients.recursion import recursion as recursion
from throughtime.gradients.scalar_network import ScalarNetwork as ScalarNetwork
from throughtime.gradients.scalar_network import scalar_network as scalar_network
from throughtime.gradients.scalar_text import LagTerm as LagTerm
