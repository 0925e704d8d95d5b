"""Cards by name, by what PyTorch calls them, and by their numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.run.costs.cards import CARDS, EXAMPLE, card_of, machine_with, read_card

HERE = Hardware("cpu", "x86_64", 2, 16.0, None, None, "2.6", "5.10")


@pytest.mark.parametrize(
    ("name", "memory", "card"),
    [
        ("Tesla T4", 15.6, "t4"),
        ("NVIDIA L4", 23.7, "l4"),
        ("NVIDIA L40S", 47.7, "l40s"),
        ("NVIDIA A100-SXM4-40GB", 42.3, "a100-40"),
        ("NVIDIA A100-PCIE-40GB", 42.4, "a100-40"),
        ("NVIDIA A100 80GB PCIe", 84.9, "a100-80"),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", 42.0, "a100-40"),
        ("NVIDIA H100 80GB HBM3", 85.0, "h100"),
        ("NVIDIA H200", 150.0, "h200"),
        ("NVIDIA GeForce RTX 4090", 25.3, "rtx4090"),
        ("NVIDIA GeForce RTX 3090", 25.4, "rtx3090"),
    ],
)
def test_what_pytorch_calls_a_card(name: str, memory: float, card: str) -> None:
    machine = Hardware("cuda", name, 8, 64.0, memory, (7, 5), "2.6", "5.10")
    found = card_of(machine)
    assert (found.bandwidth, found.flops) == (CARDS[card].bandwidth, CARDS[card].flops)
    assert found.memory_gb == memory and found.capability == (7, 5) and not found.assumed


@pytest.mark.parametrize("name", ("NVIDIA GeForce RTX 3060", "AMD Instinct MI300X", "NVIDIA L400", "Tesla T40"))
def test_a_card_that_is_not_in_the_table_has_an_assumed_speed(name: str) -> None:
    assert card_of(Hardware("cuda", name, 8, 64.0, 12.0, (8, 6), "2.6", "5.10")).assumed


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_found_again_on_its_machine(name: str) -> None:
    assert card_of(machine_with(CARDS[name], HERE)) == CARDS[name]
    assert read_card(name.upper()) == read_card(f" {name} ") == CARDS[name]
    assert read_card(f"{name},memory=10GB").memory_gb == 10


@given(st.integers(4, 300), st.integers(100, 20_000), st.integers(10, 4000), st.booleans())
def test_units_mean_what_they_say(memory: int, bandwidth: int, flops: int, spaced: bool) -> None:
    comma = ", " if spaced else ","
    found = read_card(comma.join((f"memory={memory}GB", f"bandwidth={bandwidth}GB/s", f"flops={flops}TFLOPS")))
    words = (f"flops={flops / 1000:.6f}PFLOP/s", f"memory={memory * 1000}MB", f"bandwidth={bandwidth / 1000:.6f}tb/s")
    other = read_card(comma.join(words))
    assert found.memory_gb == pytest.approx(memory) == pytest.approx(other.memory_gb)
    assert found.bandwidth == pytest.approx(bandwidth * 1e9) == pytest.approx(other.bandwidth)
    assert found.flops == pytest.approx(flops * 1e12) == pytest.approx(other.flops)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t5", "No GPU is known as 't5'"),
        ("a100", "two kinds of A100"),
        ("", "--on names no GPU"),
        ("memory=24GB", "Its bandwidth and flops are missing"),
        ("memory=24GB,bandwidth=1TB/s", "Its flops is missing"),
        ("memory=24,bandwidth=1TB/s,flops=1TFLOPS", "cannot read 'memory=24'"),
        ("memory=24GB,bandwidth=1TB,flops=1TFLOPS", "cannot read 'bandwidth=1TB'"),
        ("memory=-24GB,bandwidth=1TB/s,flops=1TFLOPS", "cannot read 'memory=-24GB'"),
        ("memory=0GB,bandwidth=1TB/s,flops=1TFLOPS", "no GPU has memory=0GB"),
        ("memory=24GB,bandwidth=1TB/s,flops=120GFLOPS,colour=red", "cannot read 'colour=red'"),
        ("memory=24GB,bandwidth=1MB/s,flops=120TFLOPS", "no GPU has bandwidth=1MB/s"),
        ("memory=1e3GB,bandwidth=1TB/s,flops=120TFLOPS", "cannot read 'memory=1e3GB'"),
    ],
)
def test_what_is_no_card_is_explained(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_card(text)
    assert said in " ".join(caught.value.lines()) and caught.value.exit_code == 2


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    try:
        assert read_card(text).memory_gb > 0
    except UserError as error:
        assert error.lines()


def test_the_example_of_the_messages_works() -> None:
    card = read_card(EXAMPLE + ",capability=7.5")
    assert (card.memory_gb, card.bandwidth, card.flops, card.capability) == (24, 1e12, 120e12, (7, 5))
