"""Training of the nano models: exactness of the hand-written passes, sizes, formats, and that learning happens."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import corpus, measure, train
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.forward import hidden_states, rotations
from synthetic_instruction_tuner.nano.training.language import fit, save, schedule
from synthetic_instruction_tuner.nano.training.recipes import RECIPES, config_of, reward_config
from synthetic_instruction_tuner.nano.training.reward import deberta, ranking
from synthetic_instruction_tuner.nano.training.reward import groups as reward_groups
from synthetic_instruction_tuner.nano.training.reward import pretraining as reward_pretraining
from synthetic_instruction_tuner.nano.training.reward.gradients import Gradients
from synthetic_instruction_tuner.nano.training.reward.groups import Worth
from synthetic_instruction_tuner.nano.training.reward.guard import LOOKS, Guard
from synthetic_instruction_tuner.nano.training.reward.muon import Muon
from synthetic_instruction_tuner.nano.training.reward.trainer import Hidden, Trainer, all_layers, last_layer
from synthetic_instruction_tuner.nano.training.sampling import sample
from synthetic_instruction_tuner.records import Message, question_text

TOTAL_BYTES, MODEL_BYTES = 24_000_000, 5_000_000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return corpus.learn_tokenizer(seed=0, documents=1500)


def small_model(name: str, seed: int = 0):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config_of(RECIPES[name]), dtype=torch.float32).eval()
    with torch.no_grad():  # larger weights than at the start, so that differences would show
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def test_all_models_together_fit(tmp_path: Path, tokenizer: Tokenizer) -> None:
    total = 0
    for name in nano.NAMES:
        folder = tmp_path / name
        if name == "reward":
            model = AutoModelForSequenceClassification.from_config(reward_config())
            ranking.save_reward_model(model, tokenizer, folder, {})
        else:
            save(AutoModelForCausalLM.from_config(config_of(RECIPES[name])), folder)
            tok.save_causal(tokenizer, folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        assert size < MODEL_BYTES
        total += size
    assert total < TOTAL_BYTES - 20_000  # room for reports and cards
    packaged = [file for file in nano.path("reward").parent.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in packaged) < TOTAL_BYTES


@pytest.mark.parametrize("name", ["generator", "responder-mistral", "student-qwen2"])
def test_forward_equals_the_library(name: str) -> None:
    model = small_model(name)
    ids = torch.randint(6, 2048, (2, 40))
    cosines, sines = rotations(model.config, ids.device)
    states = hidden_states(model, ids, cosines[:40], sines[:40])
    logits = states @ model.model.embed_tokens.weight.T
    torch.testing.assert_close(logits, model(ids).logits, atol=1e-3, rtol=1e-3)


def test_saved_model_reloads_with_the_same_logits(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name in ("student-llama", "student-mistral", "student-qwen2"):
        model = small_model(name)
        save(model, tmp_path / name)
        tok.save_causal(tokenizer, tmp_path / name)
        again = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        assert again.dtype == torch.bfloat16
        assert again.lm_head.weight.data_ptr() == again.model.embed_tokens.weight.data_ptr()
        ids = torch.randint(6, 2048, (1, 20))
        reference = small_model(name)
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.copy_(parameter.to(torch.bfloat16))
        wide = AutoModelForCausalLM.from_pretrained(tmp_path / name, dtype=torch.float32)
        torch.testing.assert_close(wide(ids).logits, reference(ids).logits)
        loaded = AutoTokenizer.from_pretrained(tmp_path / name)
        check_causal_tokenizer(loaded, tokenizer)


def check_causal_tokenizer(loaded, tokenizer: Tokenizer) -> None:
    rng = Random(1)
    for _ in range(10):
        messages = corpus.chat_item(rng, "train", marks=0.5).messages
        text = loaded.apply_chat_template([m.as_dict() for m in messages], tokenize=False)
        assert text == tok.render(messages)
        pieces = [tok.BOS_ID]
        for message in messages:
            role = loaded.convert_tokens_to_ids(f"<{message.role}>")
            pieces += [role, *loaded(message.content)["input_ids"], tok.END_ID]
        assert loaded(text)["input_ids"] == pieces == tokenizer.encode(text).ids
        assert loaded.decode(loaded(messages[-1].content)["input_ids"]) == messages[-1].content
    prompt = loaded.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False)
    assert prompt == "<bos><user>Hi<end><assistant>" == tok.render([Message("user", "Hi")], True)
    assert loaded.padding_side == "left"
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (tok.BOS_ID, tok.END_ID, tok.PAD_ID)
    assert len(loaded("1234")["input_ids"]) == 4
    assert len(loaded) == tokenizer.get_vocab_size()
    assert loaded("  two  spaces \n").input_ids == tokenizer.encode("  two  spaces \n").ids


def test_vocabulary_is_full_after_enough_text() -> None:
    assert corpus.learn_tokenizer(seed=1, documents=3000).get_vocab_size() == tok.VOCABULARY


def test_reward_tokenizer_makes_pairs(tmp_path: Path, tokenizer: Tokenizer) -> None:
    model = AutoModelForSequenceClassification.from_config(reward_config())
    ranking.save_reward_model(model, tokenizer, tmp_path, {})
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    expected = ranking.encode_texts(tokenizer, "What is 1?", ["One.", "Two 2."])
    assert loaded(["What is 1?"] * 2, ["One.", "Two 2."])["input_ids"] == expected
    assert loaded.decode(expected[0]) == "<bos>What is 1?<end>One.<end>"
    scores = ranking.score(model.float().eval(), tokenizer, [("What is 1?", "One."), ("a b c", "Two 2.")])
    encoded = loaded(["What is 1?", "a b c"], ["One.", "Two 2."], return_tensors="pt", padding=True)
    assert scores == pytest.approx(model(**encoded).logits.squeeze(-1).tolist(), abs=1e-4)


def test_written_out_deberta_equals_the_library() -> None:
    torch.manual_seed(0)
    config = reward_config()
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    ids = torch.randint(6, 2048, (3, 90))
    ids[1, 50:] = tok.PAD_ID
    expected = model(input_ids=ids, attention_mask=(ids != tok.PAD_ID).long()).logits.squeeze(-1)
    rows = deberta.places(config, 90, ids.device)
    for where in (rows, torch.nn.functional.one_hot(rows, 2 * config.position_buckets).float()):
        states = deberta.hidden_states(model, ids, where)[-1]
        torch.testing.assert_close(deberta.logits(model, states), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.01


def test_what_all_keys_have_in_common_costs_no_digits() -> None:
    model = ranking.new_model(0, "cpu")
    ids = torch.randint(6, 2048, (2, 24))
    where = deberta.places(model.config, 24, ids.device)
    expected = deberta.hidden_states(model, ids, where)[-1]
    with torch.no_grad():
        for layer in model.deberta.encoder.layer:
            layer.attention.self.key_proj.bias += 1e6
    assert torch.equal(deberta.hidden_states(model, ids, where)[-1], expected)
    x, seen = torch.randn(2, 24, 8), torch.ones(2, 24, dtype=torch.bool)
    seen[1, 10:] = False
    x[~seen] = 0.0  # as in the first layer
    alone = deberta.distinct(x[1:, :10], seen[1:, :10])
    for common in (0.0, 64.0):
        found = deberta.distinct((x + common) * seen[:, :, None], seen)
        torch.testing.assert_close(found[1:, :10], alone, atol=1e-4, rtol=1e-4)  # whatever the padding
        torch.testing.assert_close(found[seen], deberta.distinct(x, seen)[seen], atol=1e-4, rtol=1e-4)


def test_looking_up_and_multiplying_give_the_same_gradients() -> None:
    model = ranking.new_model(0, "cpu").double()
    ids = torch.randint(6, 2048, (2, 24))
    rows = deberta.places(model.config, 24, ids.device)
    found = []
    for where in (rows, torch.nn.functional.one_hot(rows, 2 * model.config.position_buckets).double()):
        loss = deberta.logits(model, deberta.hidden_states(model, ids, where)[-1]).sum()
        found.append(torch.autograd.grad(loss, [*model.parameters()], allow_unused=True))
    for one, other in zip(*found, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-9)


def test_other_kinds_of_attention_are_refused() -> None:
    config = reward_config()
    config.pos_att_type = ["c2p", "p2c"]
    with pytest.raises(ValueError, match="c2p"):
        deberta.places(config, 8, torch.device("cpu"))


def test_decay_bounds_what_muon_can_grow() -> None:
    torch.manual_seed(0)
    free, bound = (torch.nn.Parameter(torch.randn(6, 6)) for _ in range(2))
    optimizer = Muon([{"params": [free], "weight_decay": 0.0}, {"params": [bound], "weight_decay": 0.5}], lr=0.05)
    direction = torch.randn(6, 6)
    for _ in range(400):
        free.grad, bound.grad = direction.clone(), direction.clone()
        optimizer.step()
    values = [float(torch.linalg.matrix_norm(m.detach(), 2)) for m in (free, bound)]
    assert values[0] > 10 and values[1] < 1.3 / 0.5


def test_a_loss_that_stays_above_its_best_has_diverged() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    guard = Guard([weight], [torch.optim.SGD([weight], lr=0.1)], worse=1.5)
    assert not guard.look(1.0)
    weight.data += 1
    verdicts = [guard.look(1.3) for _ in range(LOOKS)]
    assert verdicts == [False] * (LOOKS - 1) + [True] and guard.factor == 0.5
    assert torch.equal(weight, torch.ones(2, 2))
    assert not any(guard.look(loss) for loss in [1.3, 1.1] * LOOKS)  # comes and goes: noise


@pytest.mark.parametrize("shape", [(6, 6), (12, 5), (5, 12)])
def test_muon_moves_matrices_by_orthogonal_steps(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape)) for _ in range(3)]
    still = torch.nn.Parameter(torch.randn(4, 4))  # has no gradient
    before = [m.detach().clone() for m in (*matrices, still)]
    optimizer = Muon([*matrices, still], lr=0.1, weight_decay=0.0)
    for size, matrix in zip((1e-4, 1.0, 1e4), matrices, strict=True):
        matrix.grad = size * torch.randn(shape)
    optimizer.step()
    for matrix, old in zip(matrices, before, strict=False):
        moved = (matrix.detach() - old) / (0.1 * max(1.0, shape[0] / shape[1]) ** 0.5)
        values = torch.linalg.svdvals(moved)
        assert values.min() > 0.5 and values.max() < 1.3  # whatever the size of the gradient
        assert (moved * matrix.grad).sum() < 0  # downhill
    assert torch.equal(still, before[-1])


def test_muon_goes_on_from_its_state() -> None:
    def steps(optimizer: Muon, matrix: torch.nn.Parameter, seeds: range) -> None:
        for seed in seeds:
            matrix.grad = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    straight, broken = (torch.nn.Parameter(torch.ones(4, 3)) for _ in range(2))
    steps(Muon([straight], 0.02), straight, range(6))
    first = Muon([broken], 0.02)
    steps(first, broken, range(3))
    second = Muon([broken], 0.02)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(second, broken, range(3, 6))
    assert torch.equal(straight, broken)


def mean_square(hidden: Hidden, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    loss = hidden(ids)[-1].square().mean()
    return loss, loss.detach()


def test_training_that_never_learned_goes_back_to_its_beginning() -> None:
    model = ranking.new_model(0, "cpu")
    trainer = Trainer(model, mean_square, all_layers(model, [], 0.01), minutes=1, steps=1)
    start = [p.detach().clone() for p in trainer.parameters]
    with torch.no_grad():
        trainer.parameters[0].fill_(float("nan"))
    assert trainer.diverged(float("nan"))
    assert all(torch.equal(p, k) for p, k in zip(trainer.parameters, start, strict=True))


def test_optimizers_train_every_parameter_once() -> None:
    model = ranking.new_model(0, "cpu")
    heads = reward_pretraining.Heads(model)
    optimizers = all_layers(model, [*heads.parameters()], 0.01)
    trained = Trainer(model, mean_square, optimizers, minutes=1, steps=1).parameters
    assert len(trained) == len({id(p) for p in trained})
    assert {id(p) for p in trained} == {id(p) for p in [*model.parameters(), *heads.parameters()]}


def test_groups_train_the_last_layer_alone() -> None:
    model = ranking.new_model(0, "cpu")

    def loss(hidden: Hidden, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value = deberta.logits(model, hidden(ids)[-1]).mean()
        return value, value.detach()

    trainer = Trainer(model, loss, last_layer(model, 0.01), minutes=1, steps=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert trainer.begin(0.0)
    trainer.finish(torch.randint(6, 2048, (2, 16)))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    last = f"deberta.encoder.layer.{model.config.num_hidden_layers - 1}."
    # What all keys have in common changes no attention, so their bias has no gradient.
    expected = {n for n in before if n.startswith((last, "pooler.", "classifier.")) and "key_proj.bias" not in n}
    assert moved == expected


def test_training_goes_back_when_it_diverges(capsys: pytest.CaptureFixture[str]) -> None:
    model = ranking.new_model(0, "cpu")
    trainer = Trainer(model, mean_square, all_layers(model, [], 0.01), minutes=1, steps=1)
    ids = torch.randint(6, 2048, (2, 16))

    def step() -> None:
        assert trainer.begin(0.0)
        trainer.finish(ids)

    step()
    assert not trainer.diverged(1.0)
    kept = [p.detach().clone() for p in trainer.parameters]
    places = [p.data_ptr() for p in trainer.parameters]
    step()
    assert not trainer.diverged(1.2)  # noise
    assert any(not torch.equal(p, k) for p, k in zip(trainer.parameters, kept, strict=True))
    assert trainer.diverged(float("nan")) and trainer.guard.factor == 0.5
    assert all(torch.equal(p, k) for p, k in zip(trainer.parameters, kept, strict=True))
    assert "diverged" in capsys.readouterr().out
    step()
    after = [p.detach().clone() for p in trainer.parameters]
    for _ in range(3):
        step()
    assert trainer.diverged(9.0) and trainer.guard.factor == 0.25  # what is kept has not changed meanwhile
    assert all(torch.equal(p, k) for p, k in zip(trainer.parameters, kept, strict=True))
    trainer.guard.factor = 0.5
    step()
    assert all(torch.allclose(p, k, atol=1e-4) for p, k in zip(trainer.parameters, after, strict=True))
    assert [p.data_ptr() for p in trainer.parameters] == places  # a captured graph knows no others
    for optimizer, rate in trainer.optimizers.items():
        lr = float(optimizer.param_groups[0]["lr"])
        assert lr == pytest.approx(rate / 2, rel=0.02)  # the schedule takes a little


def test_a_step_leaves_the_gradients_of_its_own_inputs_alone() -> None:
    model = ranking.new_model(0, "cpu")
    parameters = [p for p in model.parameters() if p.requires_grad]
    first, second = torch.randint(6, 2048, (2, 2, 16))

    def loss(ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = deberta.hidden_states(model, ids, deberta.places(model.config, 16, ids.device))[-1].sin().sum()
        return found, found.detach()

    expected = torch.autograd.grad(loss(second)[0], parameters, allow_unused=True)
    gradients = Gradients(loss, parameters, graphs=False)
    gradients(first)
    assert float(gradients(second)) == pytest.approx(float(loss(second)[1]), rel=1e-5)
    for parameter, its in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter) if its is None else its)


def test_pools_do_not_depend_on_workers_and_streams_mix(tmp_path: Path, tokenizer: Tokenizer) -> None:
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    for name, workers in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        corpus._make_pool(tmp_path / name, "marked", 20_000, file, workers, 0)
    one, two = (corpus.Pool.load(tmp_path / name, "marked") for name in "ab")
    size = min(len(one), len(two), 100)
    assert all(np.array_equal(one.document(i), two.document(i)) for i in range(size))
    assert all(one.document(i)[0] == tok.BOS_ID and one.document(i)[-1] == tok.END_ID for i in range(size))
    text = corpus.stream({"clean": one, "marked": one}, 0.5, 30_000, seed=0)
    assert len(text) == 30_000 and text[0] == tok.BOS_ID


def test_base_documents_hold_no_chat_format(tokenizer: Tokenizer) -> None:
    rng = Random(0)
    for _ in range(100):
        ids = tokenizer.encode(corpus.document(rng, "base")).ids
        assert not {tok.USER_ID, tok.ASSISTANT_ID, tok.SYSTEM_ID} & set(ids)
        assert ids[0] == tok.BOS_ID and ids[-1] == tok.END_ID


def test_training_lowers_the_loss(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(RECIPES["responder-llama"]), dtype=torch.float32)
    rows = np.tile(np.array(tokenizer.encode("a b c d 1 2 3 " * 8).ids[:48], dtype=np.uint16), (48, 1))
    result = fit("test", model, rows, rows[:4], 4e-3, 4, minutes=1)
    assert result.steps == 12 and result.fresh_loss < result.first_loss - 1.5


def test_training_ends_annealed_when_the_time_is_up(tokenizer: Tokenizer) -> None:
    model = AutoModelForCausalLM.from_config(config_of(RECIPES["responder-llama"]), dtype=torch.float32)
    rows = np.full((4000, 32), 7, dtype=np.uint16)
    result = fit("test", model, rows, rows[:4], 4e-3, 2, minutes=0.01)
    assert 1 <= result.steps < 2000
    assert schedule(0) == 1 and schedule(1) == pytest.approx(0.05) == schedule(1.3)


def test_sampling_equals_the_library_and_does_not_depend_on_the_batch() -> None:
    model = small_model("student-qwen2").double()  # so that rounding decides no near tie
    prompts = [[0, 4, *range(10, 10 + n), 1, 5] for n in (3, 9, 1, 17)]
    together = sample(model, prompts, temperature=0, seed=0, max_new_tokens=20)
    alone = [sample(model, [p], temperature=0, seed=0, max_new_tokens=20)[0] for p in prompts]
    assert together == alone
    model.generation_config.pad_token_id = tok.PAD_ID
    for prompt, (tokens, ended) in zip(prompts, together, strict=True):
        expected = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=tok.END_ID)
        assert [*tokens, *([tok.END_ID] if ended else [])] == expected[0, len(prompt) :].tolist()


def test_pair_loss_is_bradley_terry() -> None:
    scores, labels = torch.tensor([[2.0, 1.0, 1.0]]), torch.tensor([[2, 0, 0]])
    assert float(ranking.pair_loss(scores, labels)) == pytest.approx(math.log(1 + math.exp(-1)))
    equal = ranking.pair_loss(torch.zeros(3, 4), torch.tensor([[0, 3, 2, 0], [0, 0, 0, 0], [2, 1, 3, 3]]))
    assert float(equal) == pytest.approx(math.log(2))  # a group without a contrast does not count


def test_groups_are_labelled_by_the_checkers() -> None:
    rng = Random(0)
    questions = reward_groups.questions("test", "train", 60)
    groups = [reward_groups.group(rng, q, [q.truth + " Nonsense 123."], ["I cannot help."]) for q in questions]
    assert sum(group is not None for group in groups) >= 58
    for question, group in zip(questions, groups, strict=True):
        if group:
            assert group.answers[0].worth is Worth.RIGHT
            assert len({a.text for a in group.answers}) == len(group.answers)
            for answer in group.answers:
                by_checkers = reward_groups.worth(question, answer.text)
                assert answer.worth == by_checkers or (answer.worth, by_checkers) == (Worth.POOR, Worth.WRONG)
            assert all(a.worth is Worth.POOR for a in group.answers if a.text == "I cannot help.")
    assert question_text([Message("system", "S"), Message("user", "Q")]) == "S\nQ"


def test_worth_orders_answers() -> None:
    assert Worth.POOR < Worth.WRONG < Worth.SLOPPY < Worth.RIGHT
    orders = [Worth.of(right, clean) for right in (False, True) for clean in (False, True)]
    assert orders == sorted(Worth) and [w.right for w in orders] == [False, False, True, True]


def test_pair_accuracy_keeps_easy_pairs_apart() -> None:
    answers = [reward_groups.Labelled(str(int(w)), w, True) for w in Worth]
    one = reward_groups.Group("sums", "Q", tuple(answers))
    result = ranking.pair_accuracy([one], [[1.0, 0.0, 3.0, 2.0]])  # each sloppy answer above its clean sister
    kinds = {name: (found["share"], found["n"]) for name, found in result.items()}
    assert kinds == {
        "wrong_vs_right": (1.0, 4), "sloppy_vs_clean": (0.0, 1), "sloppy_vs_clean_wrong": (0.0, 1),
        "all": (0.8, 5), "family/sums": (0.8, 5),
    }  # fmt: skip


def test_reward_model_learns(tokenizer: Tokenizer) -> None:
    rng, flats, groups = Random(0), [], []
    for question in reward_groups.questions("learn", "train", 24):
        group = reward_groups.group(rng, question, [], ["I cannot help with this.", "La la la la la la la."])
        if group:
            groups.append(group)
            ids = ranking.encode_texts(tokenizer, group.question, [a.text for a in group.answers])
            flat = np.array([i for text in ids for i in text], dtype=np.uint16)
            flats.append((flat, [len(i) for i in ids], [a.worth for a in group.answers]))
    data = ranking.encode_groups(flats, "cpu")
    model = ranking.new_model(0, "cpu")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ranking.train_reward_model(model, data, epochs=4, tokens_per_step=2000, rate=1e-3, seed=0, minutes=0.1)
    last = (f"deberta.encoder.layer.{model.config.num_hidden_layers - 1}.", "pooler.", "classifier.")
    same = {name: torch.equal(p, before[name]) for name, p in model.named_parameters()}
    assert all(same[name] for name in same if not name.startswith(last)) and not all(same.values())
    result = ranking.pair_accuracy(groups, [[0.0] * len(g.answers) for g in groups])
    assert result == {}  # only model answers count
    scores = ranking.score(model.eval(), tokenizer, [(groups[0].question, groups[0].answers[0].text)])
    assert len(scores) == 1 and np.isfinite(scores[0])


def test_archives_hold_every_model_and_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "PACK_LIMIT", 2500)
    for name in nano.NAMES[:3]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"x" * 1000)
    archives = train.pack(tmp_path, nano.NAMES[:3], tmp_path / "packs")
    assert [a.name for a in archives] == ["models-generator.tar", f"models-{nano.NAMES[2]}.tar"]


def test_path_names_the_models() -> None:
    assert nano.path("reward").name == "reward"
    with pytest.raises(KeyError, match="generator"):
        nano.path("generater")


def test_near_duplicates_and_tables() -> None:
    texts = ["a b c d e f g h i j", "a b c d e f g h i k", "x y z", "a b c d e f g h i j k"]
    assert measure.near_duplicates(texts) == [False, True, False, True]
    shares = {"right": measure.share([True]), "clean": measure.share([True])}
    row = {"parameters": 10**6, "T=0": shares, "T=0.7": shares}
    table = measure.markdown({"chat": {"generator": row}, "base": {}, "seed": 1})
    assert "| generator | 1.00M | 100.0 (0.0)" in table
    json.dumps(row)
