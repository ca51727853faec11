# SPDX-License-Identifier: Apache-2.0
"""Segmentation metrics as pure functions on arrays: overlap, surface distances, foreground, lines, single objects;
beside them what makes a case easy or hard: its objects, and the quality of its image."""

from sa2_monai.metrics.centreline import centre_line, cldice
from sa2_monai.metrics.detection import InstanceMatch, connected_instances, match_instances
from sa2_monai.metrics.foreground import (
    e_measure,
    e_measure_of_counts,
    enhanced_alignment,
    enhanced_alignment_of_counts,
    mean_absolute_error,
)
from sa2_monai.metrics.image_quality import blur, noise, rms_contrast
from sa2_monai.metrics.instances import largest_contour_percent, largest_object_percent
from sa2_monai.metrics.objects import class_objects, object_density, object_sizes, size_spread, touching_share
from sa2_monai.metrics.overlap import (
    Counts,
    accuracy,
    confusion_matrix,
    counts,
    counts_of_class,
    dice,
    f_beta,
    jaccard,
    precision,
    sensitivity,
    specificity,
)
from sa2_monai.metrics.structure_measure import s_measure
from sa2_monai.metrics.structures import Structure, measure_structures
from sa2_monai.metrics.surface import asd, assd, hd, hd95, hd95_pooled, masd, nsd, surface_distances

__all__ = [
    "Counts",
    "InstanceMatch",
    "Structure",
    "accuracy",
    "asd",
    "assd",
    "blur",
    "centre_line",
    "class_objects",
    "cldice",
    "confusion_matrix",
    "connected_instances",
    "counts",
    "counts_of_class",
    "dice",
    "e_measure",
    "e_measure_of_counts",
    "enhanced_alignment",
    "enhanced_alignment_of_counts",
    "f_beta",
    "hd",
    "hd95",
    "hd95_pooled",
    "jaccard",
    "largest_contour_percent",
    "largest_object_percent",
    "masd",
    "match_instances",
    "mean_absolute_error",
    "measure_structures",
    "noise",
    "nsd",
    "object_density",
    "object_sizes",
    "precision",
    "rms_contrast",
    "s_measure",
    "sensitivity",
    "size_spread",
    "specificity",
    "surface_distances",
    "touching_share",
]
