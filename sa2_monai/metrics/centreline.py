# SPDX-License-Identifier: Apache-2.0
"""Centre-line Dice of thin, branching structures such as vessels.

Shit et al., "clDice: a novel topology-preserving loss function for tubular structure segmentation", CVPR 2021. The
centre lines are those of scikit-image, which is an optional dependency (extra ``microscopy``).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, label

from sa2_monai.metrics.boxes import tight_box
from sa2_monai.metrics.checks import check_mask_pair

__all__ = ["centre_line", "cldice", "require_skeletonize"]


def require_skeletonize() -> None:
    """Check that centre lines can be computed.

    Raises:
        ImportError: scikit-image is missing; with the command that installs it.
    """
    try:
        import skimage.morphology  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the centre-line Dice (cldice) needs scikit-image; install it with: pip install 'sa2_monai[microscopy]'"
        ) from error


def centre_line(mask: np.ndarray) -> np.ndarray:
    """Thin a mask to lines of one pixel; every object (full connectivity) leaves at least one.

    Args:
        mask: boolean array, 2D or 3D.

    Returns:
        Boolean array of the same shape, a part of the mask.

    Raises:
        ImportError: scikit-image is missing.
    """
    require_skeletonize()
    from skimage.morphology import skeletonize

    line = np.zeros(mask.shape, dtype=bool)
    if not mask.any():
        return line
    box = tight_box(mask)
    inside = np.ascontiguousarray(mask[box])
    thin = skeletonize(inside).astype(bool)
    # scikit-image deletes some objects of even thickness altogether, in 3D: they would count as if they were not there
    objects, number = label(inside, structure=np.ones((3,) * mask.ndim))
    for lost in np.setdiff1d(np.arange(1, number + 1), objects[thin]):
        thin |= _odd_line(objects == lost)
    line[box] = thin
    return line


def _odd_line(mask: np.ndarray) -> np.ndarray:
    """Centre line of an object without one: of the object less one layer, else its innermost pixel."""
    from skimage.morphology import skeletonize

    line = skeletonize(binary_erosion(mask, np.ones((2,) * mask.ndim))).astype(bool)
    if not line.any():
        line.flat[int(np.argmax(distance_transform_edt(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim]))] = True
    return np.asarray(line)


def cldice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Compute the centre-line Dice of two masks.

    The harmonic mean of topology precision (share of the prediction's centre line inside the reference) and topology
    sensitivity (share of the reference's centre line inside the prediction). Pixels count, not millimetres.

    Args:
        prediction: boolean or integer array, 2D or 3D; non-zero is foreground.
        reference: the same for the reference, same shape.

    Returns:
        A number in [0, 1]; 0 when exactly one mask is empty, ``NaN`` when both are.

    Raises:
        ImportError: scikit-image is missing.
        ValueError: when a mask is neither boolean nor integer, is not 2D or 3D, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    if p.ndim not in (2, 3):
        raise ValueError(f"masks have shape {p.shape}, expected two or three axes")
    line_p, line_r = centre_line(p), centre_line(r)
    length_p, length_r = int(np.count_nonzero(line_p)), int(np.count_nonzero(line_r))
    if not length_p or not length_r:
        return 0.0 if length_p or length_r else float("nan")
    precision = np.count_nonzero(line_p & r) / length_p
    sensitivity = np.count_nonzero(line_r & p) / length_r
    total = precision + sensitivity
    return float(2 * precision * sensitivity / total) if total else 0.0
