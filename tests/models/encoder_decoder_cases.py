"""Small encoders and decoders in float64, with weights large enough to matter."""

import torch

from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.encoder_decoder_config import EncoderDecoderConfig
from throughtime.models.front_ends import TokenFrontEnd

END, SOURCES, TARGETS = 0, 6, 5
CASES = {
    "plain": {"attention": "none"},
    "dot": {"attention": "dot", "bidirectional": True},
    "bilinear": {"attention": "bilinear", "bidirectional": True, "num_layers": 2},
    "additive": {"attention": "additive", "attention_size": 3, "decoder_layers": 2},
    "mean": {"attention": "mean", "cell": "elman"},
    "gru": {"cell": "gru", "tied": True, "embedding_size": 3},
    "plain tied": {"attention": "none", "tied": True, "embedding_size": 3},
    "feeding": {"input_feeding": True, "bidirectional": True},
    "feeding plain": {"input_feeding": True, "attention": "none"},
    "none": {"cell": "none"},
    "none, none": {"cell": "none", "attention": "none"},
}


def small(seed: int = 0, **entries) -> EncoderDecoder:
    torch.manual_seed(seed)
    config = EncoderDecoderConfig(**{"hidden_size": 4, **entries})
    front_end = TokenFrontEnd(SOURCES, config.embedded)
    model = EncoderDecoder(front_end, TARGETS, END, config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def batch_of(source_lengths, target_lengths=None):
    """Random tokens; what lies beyond the lengths is random, too."""
    torch.manual_seed(1)
    inputs = torch.randint(SOURCES, (max(source_lengths), len(source_lengths)))
    batch = {"inputs": inputs, "inputs_lengths": torch.tensor(source_lengths)}
    if target_lengths is not None:
        shape = (max(target_lengths), len(target_lengths))
        batch["targets"] = torch.randint(TARGETS, shape)
        batch["targets_lengths"] = torch.tensor(target_lengths)
    return batch


def one_of(batch, b):
    """One example of a batch, without its padding."""
    one = {}
    for name in ("inputs", "targets"):
        if name in batch:
            length = int(batch[f"{name}_lengths"][b])
            one[name] = batch[name][:length, b : b + 1]
            one[f"{name}_lengths"] = torch.tensor([length])
    return one
