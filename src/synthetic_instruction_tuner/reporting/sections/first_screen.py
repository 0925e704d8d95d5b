"""The three sentences of the first screen: what came out, whether it can be trusted, and what it cost."""

from __future__ import annotations

from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes, listed
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order
from synthetic_instruction_tuner.reporting.sections.costs import energy
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, Test, all_tests
from synthetic_instruction_tuner.reporting.sections.trust import contaminated, rewarded, seen_share

NOTHING_SCORED = "No model of this run was evaluated, so nothing can be said about what tuning did"
NOTHING_COMPARED = "This run has scores of one variant only, so nothing is compared"


def outcome(data: ReportData) -> str:
    """Returns what each method did to the untuned students' headline scores, counted after Holm's correction."""
    if not data.headlines:
        return f"{NOTHING_SCORED}."
    tests = [test for test in all_tests(data) if test.reference == BASE]
    if not tests:
        return f"{NOTHING_COMPARED}."
    parts = []
    for variant in in_order([test.row.variant for test in tests]):
        own = [test for test in tests if test.row.variant == variant]
        better, worse = _places(data, own, 1), _places(data, own, -1)
        name = data.labels.get(variant, variant)
        if better and worse:
            parts.append(f"{name} is better on {listed(better)}, and worse on {listed(worse)}")
        elif better or worse:
            parts.append(f"{name} is {'better' if better else 'worse'} on {listed(better or worse)}")
        else:
            parts.append(f"{name} shows no proven difference")
    said = "; ".join(parts)
    return f"Against the untuned students, {said}."


def trust(data: ReportData) -> str:
    """Returns how much of that is proven, on how many items and seeds, and what speaks against it."""
    tests = all_tests(data)
    if not tests:
        return "Nothing was tested, so no number here says that one variant is better than another."
    sizes = sorted({test.row.clusters for test in tests})
    items = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    held = sum(test.holds for test in tests)
    seed = f" ({data.seed})" if data.seed else ""
    parts = [
        f"{held} of {len(tests)} paired tests hold after correction (p < {ALPHA}), on {items} items a benchmark and "
        f"with one seed{seed}"
    ]
    if own := rewarded(data):
        parts.append(f"{listed(own)} is scored by the model that chose DPO's pairs, so it proves little by itself")
    seen = [name for name in data.headlines if (data.contamination.get(name) or {}).get("found")]
    if seen:
        parts.append(f"the training data hold {listed([f'{seen_share(data, name)} of {name}' for name in seen])}")
    elif data.contamination:
        parts.append("no benchmark item was found in the training data")
    else:
        parts.append(contaminated(data)[0].rstrip(".").replace("The", "the", 1))
    if data.profile == "nano":
        parts.append("nano's models know a toy world, so none of this carries over to real ones")
    return "; ".join(parts) + "."


def cost(data: ReportData) -> str:
    """Returns the time, the memory, and the training time of each method, with that of the one it starts from."""
    seconds = [s.seconds for s in data.stages if s.seconds is not None]
    memory = [s.peak_memory_gb for s in data.stages if s.peak_memory_gb is not None]
    parts = []
    if seconds:
        peak = f" and at most {gigabytes(max(memory))} of memory" if memory else ""
        parts.append(f"The run took {duration(sum(seconds))}{peak}")
    methods = in_order([str(t["method"]) for t in data.training])
    if methods:
        means = []
        for method in methods:
            means.append(f"{duration(mean_training(data, method))} with {data.labels.get(method, method)}")
        parts.append(f"one student trained {listed(means)}" if parts else f"One student trained {listed(means)}")
    said = energy(data)
    parts.append(said[:1].lower() + said[1:] if parts else "No cost was measured")
    return "; ".join(parts) + "."


def mean_training(data: ReportData, method: str) -> float:
    """Returns the mean seconds that a student trained with a method, with those of the method that it starts from."""
    own = [seconds for (name, _), seconds in data.seconds_of_training.items() if name == method]
    return sum(own) / len(own)


def _places(data: ReportData, tests: list[Test], way: int) -> list[str]:
    """The benchmarks on which tests go that way, with the number of students where it is not all of them."""
    found = []
    for name in data.headlines:
        own = [test for test in tests if test.row.benchmark == name]
        count = sum(test.improves == way for test in own)
        if count:
            low, high = min(gains := [abs(t.gain) for t in own if t.improves == way]), max(gains)
            size = f"{'+' if way > 0 else '−'}{low:.2f}" + (f" to {high:.2f}" if f"{low:.2f}" != f"{high:.2f}" else "")
            whom = "" if count == len(own) == 1 else f", {count} of {len(own)} students"
            found.append(f"{name} ({size}{whom})")
    return found
