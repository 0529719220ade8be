"""The network is the paper's, at any width, and its inference copy computes the same."""

import pytest
import torch

from nuclick_wsi.models.network import NuClick, NuClickConfig, build, fused

TINY = NuClickConfig(width=1 / 16)


def trained_looking(config: NuClickConfig = TINY) -> NuClick:
    """A network whose batch norms are not the identity, as after training."""
    torch.manual_seed(0)
    network = NuClick(config)
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    for name, parameter in network.named_parameters():
        if ".norm." in name:
            torch.nn.init.uniform_(parameter, 0.3, 1.2)
    return network.eval()


def test_full_width_has_the_published_number_of_parameters_and_entries():
    with torch.device("meta"):
        network = NuClick()
    assert sum(parameter.numel() for parameter in network.parameters()) == 66_800_321
    assert len(network.state_dict()) == 360


@pytest.mark.parametrize("width", [1 / 16, 0.2, 0.37])
def test_any_width_gives_logits_of_the_crop_s_size(width):
    network = NuClick(NuClickConfig(width=width)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 5, 64, 96)).shape == (2, 1, 64, 96)


def test_the_inference_copy_predicts_the_same_and_leaves_the_original_alone():
    network = trained_looking()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    crops = torch.rand(3, 5, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(fused(network)(crops), network(crops), atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_inference_copy_has_no_batch_norm_left():
    assert not [m for m in fused(trained_looking()).modules() if isinstance(m, torch.nn.BatchNorm2d)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_inference_copy_can_leave_for_onnx_and_predicts_the_same_there(tmp_path):
    pytest.importorskip("onnx", reason="the exporter needs onnx (the cpu extra)")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime (the cpu extra)")
    network, crops = fused(trained_looking()), torch.rand(2, 5, 64, 64)
    torch.onnx.export(network, (crops,), tmp_path / "n.onnx", dynamo=False, input_names=["crops"])
    (logits,) = runtime.InferenceSession(tmp_path / "n.onnx").run(None, {"crops": crops.numpy()})
    with torch.inference_mode():
        assert torch.allclose(torch.from_numpy(logits), network(crops), atol=1e-4)


def test_a_crop_does_not_depend_on_its_batch():
    network = fused(trained_looking())
    crops = torch.rand(4, 5, 64, 64)
    with torch.inference_mode():
        together = network(crops)
        alone = torch.cat([network(crop[None]) for crop in crops])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_dilations_of_the_older_weights_are_a_setting_with_the_same_shapes():
    older = NuClick(NuClickConfig(width=1 / 16, last_dilations=(1, 3, 3, 6)))
    assert [d.conv.dilation[0] for d in older.decode2[1].branches] == [1, 3, 3, 6]
    older.load_state_dict(NuClick(TINY).state_dict())


def test_networks_are_built_by_name_from_what_json_can_hold():
    network = build("nuclick", {"width": 1 / 16, "last_dilations": [1, 3, 3, 6]})
    assert isinstance(network, NuClick)


@pytest.mark.parametrize(
    ("architecture", "config", "said"),
    [
        ("squiggle", {"turns": 3}, "turns must be 1, 2 or 4, not 3"),
        ("transformer", {}, "known are fcn, glance, nuclick, segnet, squiggle, unet"),
        ("nuclick", {"depth": 3}, "depth"),
        ("nuclick", {"width": 0}, "width must lie in"),
        ("nuclick", {"last_dilations": [1, 2]}, "four numbers"),
    ],
)
def test_an_impossible_network_is_refused_with_the_reason(architecture, config, said):
    with pytest.raises(ValueError, match=said):
        build(architecture, config)


@pytest.mark.parametrize("turns", [2, 4])
def test_a_network_that_turns_its_crops_draws_the_same_however_the_tissue_lies(turns):
    torch.manual_seed(0)
    once, often = (fused(build("squiggle", {"turns": count})) for count in (1, turns))
    often.load_state_dict(once.state_dict())
    crops = torch.rand(2, 5, 64, 64)
    with torch.inference_mode():
        plain, mean = once(crops), often(crops)
        quarters = [torch.rot90(once(torch.rot90(crops, k, (2, 3))), -k, (2, 3)) for k in range(0, 4, 4 // turns)]
        assert torch.allclose(mean, torch.stack(quarters).mean(dim=0), atol=1e-6)
        assert not torch.allclose(mean, plain, atol=1e-3)
        turned = torch.rot90(often(torch.rot90(crops, 4 // turns, (2, 3))), -(4 // turns), (2, 3))
        assert torch.allclose(mean, turned, atol=1e-6)


def test_crops_are_not_turned_while_a_network_learns():
    network = build("squiggle", {"turns": 4}).train()
    crops = torch.rand(2, 5, 64, 64)
    looks = []
    network.encoder.register_forward_hook(lambda *_: looks.append(1))
    network(crops)
    assert len(looks) == 1
    network.eval()(crops)
    assert len(looks) == 5
