# SPDX-License-Identifier: Apache-2.0
"""Loss, optimizer, learning rate, schedule."""

from __future__ import annotations

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = [
    "gradient_clip",
    "learning_rate",
    "loss_name",
    "min_learning_rate",
    "optimizer",
    "precise_bn",
    "restart_interval",
    "warmup_epochs",
]

_NARROW_RATE = 2.0e-3
# Ten fundus images seen whole, 128 pixels a side, 96 steps, validated on 18 others: Dice 0.18 with a rate of 2e-3, 0.27
# with 1e-3 and clipping.
_SVANET_RATE = 1.0e-3
# 36 polyps seen whole, validated on 36 others: with rate and clipping alone its maps overflowed in the validation of
# epoch 10; after 40 epochs Dice 0.30 with statistics of 9 batches, 0.37 with a warm-up of 5 epochs, 0.38 with both.
_SVANET_BATCHES = 8
_SVANET_WARMUP = 1 / 8
_ADAMW = {
    "_target_": "torch.optim.AdamW",
    "params": "$@network.parameters()",
    "lr": "@learning_rate",
    "weight_decay": 1.0e-4,
    "fused": "$@fused or None",
}


def loss_name(draft: Draft) -> Choice | None:
    """Name of the loss."""
    if draft.name == "svanet":  # published, and without pixels that have no label
        return None
    one_output = draft.network.bundle == "sa2net" and draft.classes == 2
    if draft["ignore_value"] is not None:
        return Choice("bce_dice" if one_output else "cross_entropy", "leaves out pixels without a label")
    if one_output:
        return Choice("bce_dice", f"published for two classes{draft.of_host}, balanced by the pixels of a batch")
    rare = min(draft.fingerprint.classes[1:], key=lambda one: one.frequency)
    return Choice("dice_ce", f"{rare.name} is {100 * rare.frequency:.2g} % of the pixels: Dice counts each class alike")


def learning_rate(draft: Draft) -> Choice:
    """The highest of the schedule."""
    if draft.on_cpu and draft.name == "svanet":
        return Choice(_SVANET_RATE, "twice the published rate; a higher one lets its attention run away in validations")
    if draft.on_cpu:
        return Choice(_NARROW_RATE, "a narrow network and a short training bear more than the published rate")
    published = float(draft.base["learning_rate"])
    if draft.network.bundle in ("sa2net", "svanet"):
        return Choice(published, f"published{draft.of_host}")
    rate = published * draft["batch_size"] / int(draft.base["batch_size"])
    return Choice(float(f"{rate:.3g}"), f"published {published:.3g}, in proportion to the batch size")


def gradient_clip(draft: Draft) -> Choice | None:
    """Of SvANet, whose attention multiplies maps with each other."""
    if draft.name != "svanet":
        return None
    return Choice(1.0, "its attention multiplies maps with each other: single steps must not be large")


def precise_bn(draft: Draft) -> Choice | None:
    """Of SvANet, whose maps grow beyond all limits where statistics of normalisations lag behind its weights."""
    if draft.name != "svanet":
        return None
    return Choice(_SVANET_BATCHES, "statistics that lag behind the weights let its maps overflow in validations")


def warmup_epochs(draft: Draft) -> Choice | None:
    """Of SvANet on a CPU, where a narrow network begins with a high rate."""
    if draft.name != "svanet" or not draft.on_cpu:
        return None
    return Choice(
        round(_SVANET_WARMUP * draft["max_epochs"]), "an eighth of the training: its attention settles before"
    )


def min_learning_rate(draft: Draft) -> Choice:
    """The lowest of SA2-Net's cosine."""
    return Choice(1.0e-5, "the schedule ends near zero, where the best epochs are")


def restart_interval(draft: Draft) -> Choice:
    """Of SA2-Net's cosine."""
    return Choice(None, "one cosine that ends at the last epoch")


def optimizer(draft: Draft) -> Choice | None:
    """Of the transformers in a short training; otherwise the published one."""
    if not draft.on_cpu or draft.network.bundle in ("sa2net", "svanet"):
        return None
    return Choice(_ADAMW, "AdamW gets further in minutes than the published SGD")
