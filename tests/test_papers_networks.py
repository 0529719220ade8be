"""What the paper's Table I compares is a matter of configuration."""

import pytest
import torch

from nuclick_wsi.models.network import MULTI_SCALE, NuClick, NuClickConfig, build, fused

WIDTH = 1 / 16


def parameters(architecture: str, config: dict[str, object]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(architecture, config).parameters())


@pytest.mark.parametrize(("architecture", "published"), [("unet", 31.03e6), ("segnet", 29.46e6), ("fcn", 134.3e6)])
def test_the_baselines_are_as_large_as_they_were_published(architecture, published):
    # With five channels in, one out, and norms instead of biases: within a thousandth.
    assert parameters(architecture, {}) == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize("architecture", ["unet", "segnet", "fcn"])
def test_the_baselines_draw_at_full_size_and_learn_with_every_weight(architecture):
    torch.manual_seed(0)
    network = build(architecture, {"width": WIDTH})
    crops = torch.rand(2, 5, 64, 96)
    logits = network(crops)
    assert logits.shape == (2, 1, 64, 96)
    logits.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    network.eval()
    with torch.inference_mode():
        assert torch.allclose(fused(network)(crops), network(crops), atol=1e-4)


def test_multi_scale_blocks_are_chosen_one_by_one():
    names = [name for name, _ in NuClick(NuClickConfig(WIDTH, multi_scale=("encode5",))).named_modules()]
    assert {name.split(".")[0] for name in names if name.endswith("branches")} == {"encode5"}
    counts = [parameters("nuclick", {"multi_scale": MULTI_SCALE[:blocks]}) for blocks in range(5)]
    assert counts[3] == parameters("nuclick", {}) == 66_800_321
    assert len(set(counts)) == 5


def test_places_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="takes encode3, decode4, decode2, encode5, not encode9"):
        build("nuclick", {"multi_scale": ["encode9"]})
    with pytest.raises(ValueError, match="width"):
        build("unet", {"width": 9})
    with pytest.raises(ValueError, match="does not fit"):
        build("fcn", {"depth": 3})
