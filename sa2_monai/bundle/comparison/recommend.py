# SPDX-License-Identifier: Apache-2.0
"""Which network to take, by stated rules from the numbers, in plain words.

1. The network with the highest mean Dice is compared with each other one (permutation test, corrected by Holm).
2. Lower than it: the difference is shown, p below 0.05. Within 2 points: no difference is shown, and the 95 % interval
   ends below 2 points. Open: neither.
3. Of those within 2 points the fastest is taken if it is at least 1.5 times as fast, else the one of the highest mean.
4. While others are open, the choice is called provisional.
5. A network that is no better than a constant prediction is never taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ALPHA", "FASTER", "MARGIN", "Candidate", "Recommendation", "recommend"]

ALPHA = 0.05
MARGIN = 0.02  # of Dice: a loss that is given away for speed
FASTER = 1.5


@dataclass(frozen=True)
class Candidate:
    """What the rules know of a network.

    Attributes:
        name: of the network.
        dice: mean of class means, in [0, 1].
        seconds: of a case; ``None`` when it was not measured.
        missed: structures of the references that it did not find.
        structures: how many there are.
        has_learned: whether it is better than a constant prediction.
    """

    name: str
    dice: float
    seconds: float | None
    missed: int
    structures: int
    has_learned: bool = True


@dataclass(frozen=True)
class Recommendation:
    """A choice and its reasons.

    Attributes:
        choice: name of the network; ``None`` when there is none to choose from.
        basis: ``"better"``: than all others; ``"equal"``: the best one, others are within 2 points;
            ``"faster"``: within 2 points of the best one; ``"provisional"``: the best one so far; ``"single"``;
            ``"none"``: there is no network, or none that has learned anything.
        sentences: the choice first, then the others.
    """

    choice: str | None
    basis: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Relation:
    """The network with the highest Dice, less another one."""

    other: Candidate
    difference: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def is_shown(self) -> bool:
        return self.p is not None and self.p < ALPHA and self.difference > 0

    @property
    def is_equal(self) -> bool:
        is_within = self.high is not None and self.high < MARGIN
        return self.other.has_learned and not self.is_shown and is_within


def recommend(candidates: Sequence[Candidate], pairs: Sequence[Mapping[str, Any]]) -> Recommendation:
    """Apply the rules.

    Args:
        candidates: the networks that have scores.
        pairs: what :func:`~sa2_monai.evaluation.pairwise.compare_pairs` returned of them, with Dice.
    """
    if not candidates:
        return Recommendation(None, "none", ("No network has scores: nothing can be recommended.",))
    top, *others = sorted(candidates, key=lambda one: (not one.has_learned, -one.dice, one.name))
    if not top.has_learned:
        nothing = (
            "Take none of them: no network is better than a constant prediction. Train longer, or look at the masks."
        )
        return Recommendation(None, "none", (nothing,))
    if not others:
        only = f"Only {top.name} has scores (Dice {_points(top.dice)}): there is nothing to compare it with."
        return Recommendation(top.name, "single", (only,))
    relations = [_relation(top, other, pairs) for other in others]
    equal = [relation.other for relation in relations if relation.is_equal]
    is_open = any(not relation.is_shown and not relation.is_equal for relation in relations)
    fastest = min([top, *equal], key=lambda one: (_seconds(one), -one.dice))
    factor = _factor(top, fastest)
    if fastest is not top and factor is not None and factor >= FASTER:
        choice, basis = fastest, "faster"
        first = (
            f"its Dice is within 2 points of the highest one, that of {top.name}, and it is {_times(factor)} as fast."
        )
    elif is_open:
        choice, basis = top, "provisional"
        first = "it has the highest Dice, but the cases do not suffice to tell it from every other."
    elif equal:
        choice, basis = top, "equal"
        first = f"it has the highest Dice. {_names(equal)} {'is' if len(equal) == 1 else 'are'} within 2 points of it."
    else:
        choice, basis = top, "better"
        first = f"its Dice, {_points(top.dice)}, is higher than that of every other network."
    first = f"Take {choice.name}{' for now' if basis == 'provisional' else ''}: {first}"
    sentences = [first, *(_sentence(top, relation) for relation in relations), *_missed(choice, candidates)]
    return Recommendation(choice.name, basis, tuple(sentences))


def _relation(top: Candidate, other: Candidate, pairs: Sequence[Mapping[str, Any]]) -> _Relation:
    pair = next(pair for pair in pairs if {pair["model_a"], pair["model_b"]} == {top.name, other.name})
    dice = pair["overall"]["dice"]
    difference, low, high = dice["difference"], dice["ci95_low"], dice["ci95_high"]
    if pair["model_a"] != top.name:
        difference, low, high = -difference, None if high is None else -high, None if low is None else -low
    return _Relation(other, difference, low, high, dice["p_holm"])


def _sentence(top: Candidate, relation: _Relation) -> str:
    """What was found of a network beside the one with the highest Dice, and how fast it is."""
    other = relation.other
    interval = "no interval"
    if relation.low is not None and relation.high is not None:
        interval = f"95 % CI {_signed(relation.low)} to {_signed(relation.high)}"
    p = "" if relation.p is None else f", p {'< 0.001' if relation.p < 0.001 else f'= {relation.p:.3f}'} after Holm"
    if relation.is_shown:
        found = f"{top.name} is better than {other.name}: by {_points(relation.difference)} ({interval}{p})"
    else:
        found = (
            f"No difference can be shown between {top.name} and {other.name} "
            f"(difference {_points(relation.difference)}, {interval}{p})"
        )
        if relation.high is not None and not relation.is_equal:
            found += f", but one of {_points(relation.high)} is not ruled out"
    factor = _factor(top, other)
    if factor is None:
        return f"{found}."
    if factor >= FASTER:
        return f"{found}; {other.name} is {_times(factor)} as fast."
    if 1 / factor >= FASTER:
        return f"{found}; {top.name} is {_times(1 / factor)} as fast."
    return f"{found}; they are about as fast."


def _missed(choice: Candidate, candidates: Sequence[Candidate]) -> list[str]:
    fewer = [one for one in candidates if one.missed < choice.missed]
    if not fewer:
        return []
    best = min(fewer, key=lambda one: (one.missed, -one.dice))
    return [
        f"Mind what is missed altogether: {choice.name} misses {choice.missed} of {choice.structures} structures, "
        f"{best.name} {best.missed}."
    ]


def _factor(slow: Candidate, fast: Candidate) -> float | None:
    """How many times as fast the second one is."""
    return None if slow.seconds is None or fast.seconds is None else slow.seconds / fast.seconds


def _seconds(one: Candidate) -> float:
    return float("inf") if one.seconds is None else one.seconds


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"


def _signed(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "\N{MINUS SIGN}")


def _times(factor: float) -> str:
    return f"{factor:.1f} times"


def _names(candidates: Sequence[Candidate]) -> str:
    names = [one.name for one in candidates]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
