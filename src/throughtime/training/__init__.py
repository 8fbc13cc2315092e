"""Training through time: windows, clipping, optimisers, checkpoints, one loop."""

from throughtime.training.adaptive import AdaptiveBPTT as AdaptiveBPTT
from throughtime.training.adaptive import Reach as Reach
from throughtime.training.adaptive import measure_reach as measure_reach
from throughtime.training.adaptive_clipping import AdaptiveClip as AdaptiveClip
from throughtime.training.batch_order import BatchOrder as BatchOrder
from throughtime.training.bptt import BPTT as BPTT
from throughtime.training.bptt import Method as Method
from throughtime.training.bptt import Position as Position
from throughtime.training.bptt import Problem as Problem
from throughtime.training.bptt import TruncatedBPTT as TruncatedBPTT
from throughtime.training.bptt import Window as Window
from throughtime.training.bptt import window_loss as window_loss
from throughtime.training.bptt import windows as windows
from throughtime.training.carried import detach_state as detach_state
from throughtime.training.checkpointed import backward_by_blocks as backward_by_blocks
from throughtime.training.checkpointed import (
    checkpointed_backward as checkpointed_backward,
)
from throughtime.training.clipping import clip_norm as clip_norm
from throughtime.training.clipping import clip_value as clip_value
from throughtime.training.clipping import global_norm as global_norm
from throughtime.training.config import TrainingConfig as TrainingConfig
from throughtime.training.estimators import Estimate as Estimate
from throughtime.training.estimators import compare_truncations as compare_truncations
from throughtime.training.example_model import ExampleModel as ExampleModel
from throughtime.training.hessian_free import HessianFree as HessianFree
from throughtime.training.loop import train as train
from throughtime.training.memory import MemoryPlan as MemoryPlan
from throughtime.training.memory import plan_memory as plan_memory
from throughtime.training.nt_asgd import NTASGD as NTASGD
from throughtime.training.omega import OmegaProbes as OmegaProbes
from throughtime.training.omega import omega_probes as omega_probes
from throughtime.training.optimizers import build_optimizer as build_optimizer
from throughtime.training.random_truncation import (
    RandomTruncatedBPTT as RandomTruncatedBPTT,
)
from throughtime.training.random_truncation import (
    randomly_truncated as randomly_truncated,
)
from throughtime.training.records import EventInfo as EventInfo
from throughtime.training.records import StepInfo as StepInfo
from throughtime.training.records import ValidationInfo as ValidationInfo
from throughtime.training.run_folder import RunFolder as RunFolder
from throughtime.training.sgd import sgd_step as sgd_step
from throughtime.training.sliding import SlidingBPTT as SlidingBPTT
from throughtime.training.team import Team as Team
from throughtime.training.team import join_team as join_team
from throughtime.training.window_problem import WindowProblem as WindowProblem
from throughtime.training.window_problem import record_hidden as record_hidden
from throughtime.training.within_memory import WithinMemory as WithinMemory
