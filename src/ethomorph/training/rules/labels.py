"""Labels that do not fit the network's outputs: numbers from 1 instead of 0, one-hot rows of zeros.

No threshold. A label of K in a network of K classes crashes a cross-entropy, or, as one-hot of depth K, becomes a
target of zeros, and output 0 is never used. Negative labels are left alone: they mean "not labelled".
"""

from __future__ import annotations

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

FROM_ONE = "labels that start at 1 instead of 0"


def check(evidence: Evidence) -> list[Finding]:
    remedy = "number the classes from 0, by a written list of classes and not by sorting what is there"
    found = []
    if evidence.classes:
        numbers = sorted({int(float(label)) for counts in evidence.class_counts.values() for label in counts})
        outside = [number for number in numbers if number >= evidence.classes]
        if outside:
            text = (
                f"label {', '.join(map(str, outside[:5]))} in a network of {evidence.classes} classes "
                f"(0 to {evidence.classes - 1})" + ("" if 0 in numbers else "; class 0 never occurs")
            )
            causes = (FROM_ONE, "more classes in the labels than in the network")
            found.append(Finding("labels", "sick", None, text, causes, remedy))
    if evidence.empty_targets:
        text = f"{evidence.empty_targets:.1%} of the one-hot targets of a batch name no class at all"
        found.append(Finding("labels", "sick", None, text, (FROM_ONE, "a class without an output"), remedy))
    return found
