"""Networks of torchvision, played by a stand-in with the same interface."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.pretrained import _network, pretrained_features


class Small(nn.Module):
    """The mean of each colour, times two, before a layer that names classes."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, pictures):
        return self.fc(2 * pictures.mean((2, 3)))


@pytest.fixture
def stand_in(monkeypatch):
    def prepare(picture):
        return picture.float() / 255

    prepare.resize_size = [6]

    def get_model(name, weights):
        if name == "resnet34":
            raise OSError("no way to the outside")
        assert weights.transforms() is prepare
        return Small()

    weights = SimpleNamespace(transforms=lambda: prepare)
    found = ModuleType("torchvision")
    found.models = SimpleNamespace(
        list_models=lambda module: ["alexnet", "resnet18", "resnet34"],
        get_model_weights=lambda name: SimpleNamespace(DEFAULT=weights),
        get_model=get_model,
    )
    monkeypatch.setitem(sys.modules, "torchvision", found)
    _network.cache_clear()
    yield
    _network.cache_clear()


def picture(side):
    pixels = torch.zeros(3, side, side, dtype=torch.uint8)
    pixels[1] = 255
    assert side == 6
    return pixels


@pytest.mark.usefixtures("stand_in")
def test_features_are_those_before_the_last_layer():
    assert pretrained_features("resnet18", picture).tolist() == [0, 2, 0]


@pytest.mark.usefixtures("stand_in")
def test_what_cannot_be_had():
    with pytest.raises(InvalidValue, match="'vgg': known are own, resnet18, resnet34"):
        pretrained_features("vgg", picture)
    with pytest.raises(DataError, match="weights of resnet34 .*no way to the outside"):
        pretrained_features("resnet34", picture)
