"""The three sentences of the first screen: what came out, whether it can be trusted, and what it cost."""

from __future__ import annotations

from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes, listed
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order
from synthetic_instruction_tuner.reporting.sections.costs import energy
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, Test, all_tests
from synthetic_instruction_tuner.reporting.sections.trust import rewarded, seen_share


def outcome(data: ReportData) -> str:
    """Returns what each method did to the untuned students' headline scores, counted after Holm's correction."""
    if not data.headlines:
        return say("No model of this run was evaluated, so nothing can be said about what tuning did.")
    tests = [test for test in all_tests(data) if test.reference == BASE]
    if not tests:
        return say("This run has scores of one variant only, so nothing is compared.")
    parts = []
    for variant in in_order([test.row.variant for test in tests]):
        own = [test for test in tests if test.row.variant == variant]
        better, worse = _places(data, own, 1), _places(data, own, -1)
        name = data.labels.get(variant, variant)
        if better and worse:
            parts.append(
                say(
                    "{variant} is better on {better}, and worse on {worse}",
                    variant=name,
                    better=listed(better),
                    worse=listed(worse),
                )
            )
        elif better:
            parts.append(say("{variant} is better on {benchmarks}", variant=name, benchmarks=listed(better)))
        elif worse:
            parts.append(say("{variant} is worse on {benchmarks}", variant=name, benchmarks=listed(worse)))
        else:
            parts.append(say("{variant} shows no proven difference", variant=name))
    return say("Against the untuned students, {text}.", text=say("; ").join(parts))


def trust(data: ReportData) -> str:
    """Returns how much of that is proven, on how many items and seeds, and what speaks against it."""
    tests = all_tests(data)
    if not tests:
        return say("Nothing was tested, so no number here says that one variant is better than another.")
    sizes = sorted({test.row.clusters for test in tests})
    least, most = f"{sizes[0]:,}", f"{sizes[-1]:,}"
    parts = [
        say(
            "{held} of {tests} paired tests hold after correction (p < {alpha}), on {items} items a benchmark and with "
            "one seed{seed}",
            held=sum(test.holds for test in tests),
            tests=len(tests),
            alpha=ALPHA,
            items=least if len(sizes) == 1 else say("{low} to {high}", low=least, high=most),
            seed=say(" ({seed})", seed=data.seed) if data.seed else "",
        )
    ]
    if own := rewarded(data):
        parts.append(
            say(
                "{scores} is scored by the model that chose DPO's pairs, so it proves little by itself",
                scores=listed(own),
            )
        )
    seen = [name for name in data.headlines if (data.contamination.get(name) or {}).get("found")]
    if seen:
        shares = [say("{share} of {benchmark}", share=seen_share(data, name), benchmark=name) for name in seen]
        parts.append(say("the training data hold {items}", items=listed(shares)))
    elif data.contamination:
        parts.append(say("no benchmark item was found in the training data"))
    else:
        parts.append(say("the training data were not checked for items of the benchmarks"))
    if data.profile == "nano":
        parts.append(say("nano's models know a toy world, so none of this carries over to real ones"))
    return say("; ").join(parts) + "."


def cost(data: ReportData) -> str:
    """Returns the time, the memory, and the training time of each method, with that of the one it starts from."""
    seconds = [s.seconds for s in data.stages if s.seconds is not None]
    memory = [s.peak_memory_gb for s in data.stages if s.peak_memory_gb is not None]
    parts = []
    if seconds:
        time = duration(sum(seconds))
        if memory:
            peak = gigabytes(max(memory))
            parts.append(say("The run took {time} and at most {memory} of memory", time=time, memory=peak))
        else:
            parts.append(say("The run took {time}", time=time))
    methods = in_order([str(t["method"]) for t in data.training])
    if methods:
        means = []
        for method in methods:
            name = data.labels.get(method, method)
            means.append(say("{time} with {method}", time=duration(mean_training(data, method)), method=name))
        times = listed(means)
        parts.append(
            say("one student trained {times}", times=times)
            if parts
            else say("One student trained {times}", times=times)
        )
    said = energy(data)
    parts.append(said[:1].lower() + said[1:] if parts else say("No cost was measured"))
    return say("; ").join(parts) + "."


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
            least, most = (f"+{low:.2f}", f"{high:.2f}") if way > 0 else (f"−{low:.2f}", f"−{high:.2f}")
            size = least if least[1:] == most.lstrip("−") else say("{low} to {high}", low=least, high=most)
            if count == len(own) == 1:
                found.append(say("{benchmark} ({size})", benchmark=name, size=size))
            else:
                found.append(
                    say(
                        "{benchmark} ({size}, {n} of {all} students)",
                        benchmark=name,
                        size=size,
                        n=count,
                        all=len(own),
                    )
                )
    return found
