# SPDX-License-Identifier: Apache-2.0
"""VolumeInferer: its three views against loops over slices, its memory, its errors."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.inferers import SliceInferer
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    Invertd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityd,
    Spacing,
)
from scipy.ndimage import zoom
from torch import nn

from sa2_monai.inference import VolumeInferer
from sa2_monai.slices import AntialiasedResized
from tests.inference.slice_networks import LargestTensor, make_network, make_volume


def interpolate(plane: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Linear interpolation with the corners in place, axis by axis."""
    for axis, m in enumerate(size):
        n = plane.shape[axis]
        at = np.linspace(0, n - 1, m)
        plane = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, plane)
    return plane


def published_loop(volume: torch.Tensor, network: nn.Module, size: Sequence[int]) -> np.ndarray:
    """Slice by slice: cubic zoom, (x - 0.5) / 0.5, class, zoom of order 0 back."""
    image = volume[0, 0].permute(2, 0, 1).numpy()
    prediction = np.zeros(image.shape, dtype=np.uint8)
    for index, plane in enumerate(image):
        h, w = plane.shape
        resized = plane if (h, w) == tuple(size) else zoom(plane, (size[0] / h, size[1] / w), order=3)
        x = (torch.from_numpy(resized)[None, None].float() - 0.5) / 0.5
        labels = network(x).softmax(dim=1).argmax(dim=1)[0].numpy()
        prediction[index] = labels if (h, w) == tuple(size) else zoom(labels, (h / size[0], w / size[1]), order=0)
    return prediction.transpose(1, 2, 0)


# In-plane size, size of the network. 28 -> 14, 30 -> 8, 26 -> 12 lose their last row; 8 -> 26 loses it on the way back.
PAPER_SIZES = [
    ((28, 30), (14, 8)),
    ((26, 26), (8, 12)),
    ((20, 33), (24, 16)),
    ((16, 20), (16, 20)),
    ((16, 25), (16, 20)),
]


@pytest.mark.parametrize(("size", "roi_size"), PAPER_SIZES)
def test_paper_is_the_published_loop(size: tuple[int, int], roi_size: tuple[int, int]) -> None:
    network, volume = make_network(), make_volume((*size, 11))
    labels = VolumeInferer(roi_size, view="paper", normalize=(0.5, 0.5), slice_batch_size=4)(volume, network)
    expected = published_loop(volume, network, roi_size)
    assert labels.dtype == torch.uint8
    assert len(np.unique(expected)) == 4
    np.testing.assert_array_equal(labels[0, 0].numpy(), expected)


def test_paper_repeats_the_border_defect_and_whole_does_not_have_it() -> None:
    seen: list[torch.Tensor] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return torch.cat([-images, images], dim=1)

    volume = 1 + make_volume((28, 30, 2))
    VolumeInferer((14, 8), view="paper")(volume, network)
    VolumeInferer((14, 8), view="whole")(volume, network)
    paper, whole = seen
    assert not paper[:, :, -1].any()
    assert not paper[:, :, :, -1].any()
    torch.testing.assert_close(whole[:, :, :-1, :-1], paper[:, :, :-1, :-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(whole[:, 0, -1, -1], volume[0, 0, -1, -1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "roi_size"), [((28, 30), (16, 16)), ((9, 14), (24, 20)), ((16, 16), (16, 16))])
def test_whole_is_the_slow_loop(size: tuple[int, int], roi_size: tuple[int, int]) -> None:
    network, volume = make_network(2, 3), make_volume((*size, 5), channels=2)
    options = {"roi_size": roi_size, "normalize": (0.4, 0.3), "slice_batch_size": 2}
    labels = VolumeInferer(**options)(volume, network)
    probabilities = VolumeInferer(**options, output="probabilities")(volume, network)
    expected = np.zeros((3, *size, 5))
    for z in range(5):
        channels = [
            zoom(volume[0, c, :, :, z].double().numpy(), np.array(roi_size) / size, order=3, mode="mirror")
            for c in (0, 1)
        ]
        x = (torch.from_numpy(np.stack(channels))[None].float() - 0.4) / 0.3
        for k, plane in enumerate(network(x).softmax(dim=1)[0].double().numpy()):
            expected[k, ..., z] = interpolate(plane, size)
    assert probabilities.dtype == torch.float32
    np.testing.assert_allclose(probabilities[0].numpy(), expected, rtol=0, atol=1e-5)
    assert labels.shape == (1, 1, *size, 5)
    np.testing.assert_array_equal(labels[0, 0].numpy(), probabilities[0].argmax(dim=0).numpy())


@pytest.mark.parametrize(("size", "roi_size"), [((28, 30), (16, 16)), ((9, 14), (24, 20)), ((16, 16), (16, 16))])
def test_bilinear_keeps_the_edges_of_the_slice(size: tuple[int, int], roi_size: tuple[int, int]) -> None:
    """There as Pillow does it without smoothing, back the same way; the image is a volume of one slice."""

    def resized(plane: np.ndarray, to: Sequence[int]) -> np.ndarray:
        for axis, m in enumerate(to):
            n = plane.shape[axis]
            at = ((np.arange(m) + 0.5) * n / m - 0.5).clip(0, n - 1)
            plane = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, plane)
        return plane

    network, volume = make_network(3, 3), make_volume((*size, 1), channels=3)
    options = {"roi_size": roi_size, "normalize": (0.5, 0.5), "resize": "bilinear"}
    x = torch.from_numpy(np.stack([resized(c, roi_size) for c in volume[0, ..., 0].double().numpy()]))
    scores = network((x[None].float() - 0.5) / 0.5).softmax(dim=1)[0].double().numpy()
    probabilities = VolumeInferer(**options, output="probabilities")(volume, network)
    expected = np.stack([resized(plane, size) for plane in scores])
    np.testing.assert_allclose(probabilities[0, ..., 0].numpy(), expected, rtol=0, atol=1e-5)
    labels = VolumeInferer(**options)(volume, network)
    np.testing.assert_array_equal(labels[0, 0].numpy(), probabilities[0].argmax(dim=0).numpy())

    paper = VolumeInferer(**options, view="paper")(volume, network)[0, 0, ..., 0].numpy()
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, roi_size, strict=True))
    np.testing.assert_array_equal(paper, scores.argmax(axis=0)[np.ix_(rows, columns)])


@pytest.mark.parametrize("view", ["whole", "paper"])
def test_antialiased_and_stretched_slices_are_those_of_training(view: str) -> None:
    """Resize, lowest to highest value of all channels of a slice, then the normalisation."""
    seen: list[torch.Tensor] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images

    volume = make_volume((28, 30, 3), channels=3) * 5 - 1
    volume[..., 2] = 0
    inferer = VolumeInferer((12, 16), view, resize="antialiased", stretch=True, normalize=(0.5, 0.5))
    inferer(volume, network)
    training = Compose(
        [
            AntialiasedResized("image", (12, 16), "bilinear"),
            ScaleIntensityd("image", minv=0.0, maxv=1.0),
            NormalizeIntensityd("image", subtrahend=0.5, divisor=0.5),
        ]
    )
    for index, found in enumerate(torch.cat(seen)):
        torch.testing.assert_close(found, training({"image": volume[0, ..., index]})["image"], rtol=1e-5, atol=1e-6)
    assert torch.cat(seen).amin((1, 2, 3)).tolist() == [-1.0, -1.0, -1.0]
    assert torch.cat(seen).amax((1, 2, 3)).tolist() == [1.0, 1.0, -1.0]


@pytest.mark.parametrize("size", [(40, 33, 5), (10, 40, 5), (16, 16, 5)])
def test_windows_are_those_of_monai(size: tuple[int, int, int]) -> None:
    network, volume = make_network(), make_volume(size)
    inferer = VolumeInferer(16, view="windows", overlap=0.5, slice_batch_size=3, output="probabilities")
    monai = SliceInferer(spatial_dim=2, roi_size=(16, 16), sw_batch_size=4, overlap=0.5, mode="gaussian")
    expected = monai(volume, network).softmax(dim=1)
    torch.testing.assert_close(inferer(volume, network), expected, rtol=0, atol=1e-6)
    inferer.output = "labels"
    assert torch.equal(inferer(volume, network)[0, 0].long(), expected.argmax(dim=1)[0])


@pytest.mark.parametrize("pixdim", [0.7, 1.3, 2.0])
def test_windows_at_a_pixel_size_are_those_of_spacing_and_its_inverse(pixdim: float) -> None:
    affine = torch.tensor([[0.0, -1.5, 0, 7], [1.0, 0, 0, -3], [0, 0, 8, 0], [0, 0, 0, 1]], dtype=torch.float64)
    network, volume = make_network(), MetaTensor(make_volume((30, 21, 4))[0], affine=affine)
    spacing = Spacing((pixdim, pixdim, -1), mode="bilinear", padding_mode="border")
    resampled = spacing(volume)
    monai = SliceInferer(spatial_dim=2, roi_size=(16, 16), sw_batch_size=4, overlap=0.25, mode="gaussian")
    scores = monai(resampled[None], network)[0].softmax(dim=0)
    expected = spacing.inverse(MetaTensor(scores).copy_meta_from(resampled))
    inferer = VolumeInferer(16, view="windows", pixdim=pixdim, output="probabilities")
    out = inferer(volume[None], network)
    assert out.shape == (1, 4, 30, 21, 4)
    torch.testing.assert_close(out[0].as_tensor(), expected.as_tensor(), rtol=0, atol=1e-4)


def test_a_pixel_size_the_volume_has_already_changes_nothing() -> None:
    network, volume = make_network(), MetaTensor(make_volume((20, 20, 3)), affine=torch.eye(4)[None] * 0.8)
    with_pixdim = VolumeInferer(16, view="windows", pixdim=0.8)(volume, network)
    assert torch.equal(with_pixdim.as_tensor(), VolumeInferer(16, view="windows")(volume.as_tensor(), network))


@pytest.mark.parametrize("channels", [1, 3])
def test_three_orientations_are_averaged(channels: int) -> None:
    network, volume = make_network(1, channels), make_volume((20, 17, 9))
    sigmoid = channels == 1
    options = {"view": "windows", "slice_batch_size": 4, "sigmoid": sigmoid, "orientations": "all"}
    expected = 0
    for axis in (0, 1, 2):
        logits = SliceInferer(spatial_dim=axis, roi_size=(16, 16), sw_batch_size=4, overlap=0.25, mode="gaussian")(
            volume, network
        )
        expected = expected + (logits.sigmoid() if sigmoid else logits.softmax(dim=1)) / 3
    out = VolumeInferer(16, **options, output="probabilities")(volume, network)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)
    labels = VolumeInferer(16, **options)(volume, network)
    wanted = out >= 0.5 if sigmoid else out.argmax(dim=1, keepdim=True)
    assert torch.equal(labels, wanted.to(torch.uint8))


def test_padding_of_small_slices_is_the_intensity_zero() -> None:
    seen: list[torch.Tensor] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return torch.cat([images, images], dim=1)

    VolumeInferer(16, view="windows", normalize=(0.5, 0.25))(make_volume((10, 16, 2)), network)
    assert (seen[0][:, :, :3] == -2).all()


@pytest.mark.parametrize("view", ["whole", "windows", "paper"])
def test_the_batch_size_changes_nothing(view: str) -> None:
    network, volume = make_network(), make_volume((24, 28, 9))
    one = VolumeInferer(16, view=view, slice_batch_size=1)(volume, network)
    for size in (2, 8, 50):
        assert torch.equal(VolumeInferer(16, view=view, slice_batch_size=size)(volume, network), one)


@pytest.mark.parametrize("view", ["whole", "paper"])
def test_one_channel(view: str) -> None:
    network, volume = make_network(1, 1), make_volume((20, 20, 4))
    labels = VolumeInferer(16, view=view, sigmoid=True)(volume, network)
    assert labels.unique().tolist() == [0, 1]
    if view == "whole":
        probabilities = VolumeInferer(16, sigmoid=True, output="probabilities")(volume, network)
        assert probabilities.shape == (1, 1, 20, 20, 4)
        assert torch.equal(labels, (probabilities >= 0.5).to(torch.uint8))


def test_more_than_256_classes_need_16_bit() -> None:
    def network(images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), 300, *images.shape[2:])
        logits[:, 299] = 1
        return logits

    labels = VolumeInferer(8)(make_volume((8, 8, 2)), network)
    assert labels.dtype == torch.int16
    assert (labels == 299).all()


def test_of_equal_scores_the_first_class_is_taken() -> None:
    labels = VolumeInferer(8)(make_volume((8, 8, 2)), lambda images: torch.zeros(len(images), 3, 8, 8))
    assert not labels.any()


@pytest.mark.parametrize("view", ["whole", "windows", "paper"])
def test_memory_is_that_of_a_batch_of_slices(view: str) -> None:
    network = make_network()
    volume = (make_volume((24, 28, 64)) * 1000).to(torch.int16)
    with LargestTensor() as largest:
        VolumeInferer(16, view=view, slice_batch_size=2, normalize=(500, 200))(volume, network)
    assert largest.elements == volume.numel()  # the volume and its labels; classes times voxels would be four times it
    assert largest.floating <= 2 * 8 * 24 * 28  # a batch with the 8 channels of the network
    assert largest.floating < volume.numel() / 3


def test_a_volume_of_integers_is_that_of_floats() -> None:
    network, volume = make_network(), (make_volume((24, 28, 5)) * 1000).to(torch.int16)
    inferer = VolumeInferer(16, normalize=(500, 200))
    assert torch.equal(inferer(volume, network), inferer(volume.float(), network))


def test_mixed_precision_is_the_callers_and_reaches_the_network_alone() -> None:
    network, volume = make_network(), make_volume((24, 28, 3))
    seen: list[torch.Tensor] = []
    dtypes: list[torch.dtype] = []

    def watched(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        logits = network(images)
        dtypes.append(logits.dtype)
        return logits

    inferer = VolumeInferer(16, output="probabilities")
    single = inferer(volume, watched)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = inferer(volume, watched)
    assert dtypes == [torch.float32, torch.bfloat16]
    assert torch.equal(seen[0], seen[1])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=0, atol=0.02)


def test_no_gradients_and_a_result_to_write_on() -> None:
    network = make_network().requires_grad_(True)
    labels = VolumeInferer(16)(make_volume((20, 20, 3)), network)
    labels[labels == 3] = 0  # inference mode would forbid it
    assert not VolumeInferer(16, output="probabilities")(make_volume((20, 20, 3)), network).requires_grad


def test_further_arguments_reach_the_network() -> None:
    def network(images: torch.Tensor, first: float, second: float) -> torch.Tensor:
        return torch.cat([images, images + first - second], dim=1)

    volume = make_volume((8, 8, 2))
    assert VolumeInferer(8)(volume, network, 3.0, second=1.0).all()
    assert not VolumeInferer(8)(volume, network, 1.0, second=3.0).any()


def test_devices() -> None:
    network = make_network()
    inferer = VolumeInferer(16, device="cpu", accumulate_on="cpu")
    assert inferer(make_volume((20, 20, 3)), network).device.type == "cpu"


def test_in_a_monai_evaluator_the_result_has_the_geometry_of_the_file() -> None:
    affine = torch.tensor([[0.0, 0, 5, 1], [-0.7, 0, 0, 2], [0, 0.8, 0, 3], [0, 0, 0, 1]], dtype=torch.float64)
    image = MetaTensor(make_volume((26, 28, 9))[0, 0], affine=affine, meta={"filename_or_obj": "case.nii.gz"})
    network = make_network()
    preprocessing = Compose(
        [EnsureChannelFirstd("image", channel_dim="no_channel"), Orientationd("image", "RAS", labels=None)]
    )
    loader = DataLoader(Dataset([{"image": image}], preprocessing), batch_size=1)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=loader,
        network=network,
        inferer=VolumeInferer(16),
        postprocessing=Invertd("pred", preprocessing, "image", nearest_interp=True, to_tensor=False),
        decollate=True,
    )
    evaluator.run()
    (out,) = evaluator.state.output
    pred = out["pred"]
    assert isinstance(pred, MetaTensor)
    assert pred.shape == (1, 26, 28, 9)
    torch.testing.assert_close(pred.affine, affine)
    turned = preprocessing({"image": image})["image"]
    direct = VolumeInferer(16)(turned[None], network)
    assert isinstance(direct, MetaTensor)
    torch.testing.assert_close(direct.affine, turned.affine)
    # Axes of the file: -y, z, x; the oriented volume is x, y, z.
    expected = direct[0, 0].as_tensor().flip(1).permute(1, 2, 0)
    assert torch.equal(pred[0].as_tensor(), expected)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 1, 20, 20), r"expected a volume \(1, C, X, Y, Z\), got the shape \(1, 1, 20, 20\): a 2D image"),
        ((1, 1, 20, 20, 3, 2), "Split a 4D image"),
        ((20, 20, 3), r"got the shape \(20, 20, 3\)\.$"),
        ((2, 1, 20, 20, 3), "2 volumes. Give them one by one"),
        ((1, 1, 20, 20, 0), "no voxels"),
    ],
)
def test_what_is_no_volume(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VolumeInferer(16)(torch.zeros(shape), make_network())
    named = MetaTensor(torch.zeros(shape), meta={"filename_or_obj": ["/data/case.nii.gz"]})
    with pytest.raises(ValueError, match=r"^/data/case\.nii\.gz: expected a volume"):
        VolumeInferer(16)(named, make_network())


def test_other_inputs() -> None:
    with pytest.raises(ValueError, match=r"as a tensor .* got ndarray"):
        VolumeInferer(16)(np.zeros((1, 1, 20, 20, 3)), make_network())
    with pytest.raises(ValueError, match="real intensities"):
        VolumeInferer(16)(torch.zeros((1, 1, 20, 20, 3), dtype=torch.complex64), make_network())


@pytest.mark.parametrize(
    ("network", "options", "said"),
    [
        (make_network(3), {}, "the network does not take images of 1 channels .*in_channels"),
        (make_network(1, 1), {}, "1 output channels, but sigmoid is False"),
        (make_network(1, 4), {"sigmoid": True}, "4 output channels, but sigmoid is True"),
        (lambda x: [x, x], {}, r"returned a list, expected one tensor.*network\.eval\(\)"),
        (lambda x: x[..., :4], {}, r"returned the shape .*expected logits \(3, K, 16, 16\)"),
        (lambda x: torch.cat([x, x / 0], dim=1), {}, "slices 0 to 2 along axis 2 has NaN or infinite.*input is finite"),
        (lambda x: torch.cat([x, x.log()], dim=1), {"normalize": (2, 1)}, "NaN or infinite"),
    ],
)
def test_networks_that_cannot_be_used(network, options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VolumeInferer(16, **options)(make_volume((20, 20, 3)), network)


def test_nan_voxels_are_told_from_a_broken_network() -> None:
    volume = MetaTensor(make_volume((20, 20, 9)), meta={"filename_or_obj": "/data/case.nii.gz"})
    volume[0, 0, 3, 4, 6] = float("nan")
    with pytest.raises(
        ValueError, match=r"/data/case\.nii\.gz: .* slices 4 to 7 .* not finite, too.*voxels of the file"
    ):
        VolumeInferer(16, slice_batch_size=4)(volume, make_network())


def test_other_errors_of_the_network_stay_as_they_are() -> None:
    def network(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        VolumeInferer(16)(make_volume((20, 20, 3)), network)


def test_a_pixel_size_needs_an_affine() -> None:
    inferer = VolumeInferer(16, view="windows", pixdim=1.0)
    with pytest.raises(ValueError, match=r"pixdim needs the spacing .* without affine"):
        inferer(make_volume((20, 20, 3)), make_network())
    with pytest.raises(ValueError, match="a voxel of 0 x 1 x 1 mm"):
        inferer(MetaTensor(make_volume((20, 20, 3)), affine=torch.diag(torch.tensor([0.0, 1, 1, 1]))), make_network())
    with pytest.raises(ValueError, match=r"makes slices of .* pixels from 20 x 20 at 1000 x 1000 mm"):
        inferer(MetaTensor(make_volume((20, 20, 3)), affine=torch.eye(4) * 1000), make_network())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"roi_size": (16, 16, 16)}, "2 whole numbers"),
        ({"roi_size": 0}, "illegal window size"),
        ({"view": "slices"}, "view must be one of 'whole', 'windows', 'paper', got 'slices'"),
        ({"output": "logits"}, "output must be one of"),
        ({"resize": "cubic"}, "resize must be one of 'spline', 'bilinear'"),
        ({"orientations": "axial"}, "orientations must be one of"),
        ({"slice_batch_size": 0}, "slice_batch_size must be"),
        ({"normalize": (0.5, 0)}, "normalize must be"),
        ({"overlap": 1.0}, "overlap must be"),
        ({"view": "windows", "pixdim": -1.0}, "pixdim must be"),
        ({"pixdim": 1.0}, "belong to the view 'windows', but view is 'whole'"),
        ({"view": "paper", "orientations": "all"}, "belong to the view 'windows', but view is 'paper'"),
        ({"view": "paper", "output": "probabilities"}, "label maps only"),
    ],
)
def test_wrong_options(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VolumeInferer(**{"roi_size": 16, **options})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("view", ["whole", "windows", "paper"])
@pytest.mark.parametrize("batch", [4, "auto"])
def test_cuda_gives_the_same_and_accumulates_where_it_is_told(view: str, batch: int | str) -> None:
    network, volume = make_network(), make_volume((28, 30, 9))
    outputs = ["labels"] if view == "paper" else ["labels", "probabilities"]
    expected = [VolumeInferer((14, 8), view=view, output=output)(volume, network) for output in outputs]
    network = network.cuda()
    for where, (output, wanted) in itertools.product(("cpu", "cuda"), zip(outputs, expected, strict=True)):
        inferer = VolumeInferer((14, 8), view=view, slice_batch_size=batch, output=output, accumulate_on=where)
        found = inferer(volume, network)
        assert found.device.type == where
        assert torch.isclose(found.cpu().float(), wanted.float(), atol=1e-5).float().mean() > 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("always:.*synchroniz")
def test_the_host_waits_twice_for_a_volume_on_cuda() -> None:
    """For the flags of all batches, whether they were finite, and for the labels."""
    network, volume = make_network().cuda(), make_volume((28, 30, 9))
    inferer = VolumeInferer((14, 8), slice_batch_size=2)
    expected = inferer(volume, network)
    with warnings.catch_warnings(record=True) as told:
        torch.cuda.set_sync_debug_mode("warn")
        try:
            labels = inferer(volume, network)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert sum("synchroniz" in str(one.message) for one in told) == 2
    assert torch.equal(labels, expected)
