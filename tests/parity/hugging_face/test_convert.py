"""Random models of several sizes, written by `transformers`: the same logits after conversion, and back again."""

import json

import hard_text
import numpy
import pytest
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, GPT2Config, GPT2LMHeadModel, MarianConfig, MarianMTModel

torch.set_num_threads(1)
V = 97
GPT2 = [dict(n_embd=32, n_head=2, n_layer=2, n_positions=24), dict(n_embd=48, n_head=6, n_layer=3, n_positions=40, n_inner=80),
        dict(n_embd=128, n_head=4, n_layer=1, n_positions=16, activation_function="relu", layer_norm_epsilon=1e-3),
        dict(n_embd=24, n_head=3, n_layer=2, n_positions=16, tie_word_embeddings=False)]
BERT = [dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=2, intermediate_size=64, max_position_embeddings=24),
        dict(hidden_size=60, num_attention_heads=5, num_hidden_layers=3, intermediate_size=70, max_position_embeddings=40,
             hidden_act="gelu_new"),
        dict(hidden_size=128, num_attention_heads=4, num_hidden_layers=1, intermediate_size=256, type_vocab_size=3)]
MARIAN = [dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
               encoder_ffn_dim=64, decoder_ffn_dim=64, activation_function="swish", scale_embedding=True),
          dict(d_model=48, encoder_layers=1, decoder_layers=3, encoder_attention_heads=6, decoder_attention_heads=6,
               encoder_ffn_dim=96, decoder_ffn_dim=96, activation_function="relu")]


def make(kind, config, folder, seed=0, **options):
    """A model with weights large enough that every part of it matters."""
    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" not in name:
                weight.add_(torch.randn_like(weight) * 0.15)
    if kind is MarianMTModel:
        model.final_logits_bias.normal_()
    model.save_pretrained(folder, **options)
    return model


def close(got, want):
    """Relative to the largest logit; NaN fails."""
    want = want.detach().numpy()
    error = numpy.abs(got - want).max() / numpy.abs(want).max()
    assert error <= 2e-5, error


def batch(draw, most=16):
    lengths = draw.integers(1, most + 1, 5)
    lengths[0] = most
    ids = draw.integers(4, V, (5, most))
    return ids, lengths, torch.tensor(numpy.arange(most) < lengths[:, None]).long()


@pytest.mark.parametrize("size", GPT2)
def test_gpt2(attend, load, tmp_path, size):
    theirs = make(GPT2LMHeadModel, GPT2Config(vocab_size=V, **size), tmp_path / "theirs")
    attend("convert", "theirs", "-o", "mine.att")
    ids = numpy.random.default_rng(1).integers(0, V, (3, 16))
    want = theirs(torch.tensor(ids)).logits
    close(load(tmp_path / "mine.att").logits(ids, V), want)
    attend("convert", "mine.att", "--to-hugging-face", "back")
    again = GPT2LMHeadModel.from_pretrained(tmp_path / "back").eval()
    assert torch.equal(again(torch.tensor(ids)).logits, want)


@pytest.mark.parametrize("padding", [0, 14])
def test_gpt2_with_its_tokeniser_continues_a_text(attend, tmp_path, padding):
    """Also where the model's vocabulary is padded beyond its tokeniser's; padding is never written."""
    lines = list(hard_text.mixture(300, 5))
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(lines, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False)
    config = GPT2Config(vocab_size=400 + padding, bos_token_id=0, eos_token_id=0, **GPT2[1])
    theirs = make(GPT2LMHeadModel, config, tmp_path / "theirs")
    with torch.no_grad():
        theirs.transformer.wte.weight[400:] *= 9  # padding that would win often
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save_model(str(tmp_path / "theirs"))
    attend("convert", "theirs", "-o", "mine.att")
    prompt = "Hello world, don't"
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    never = [0, *range(400, 400 + padding)]
    want = theirs.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0, suppress_tokens=never)[0, ids.shape[1]:]
    got = attend("generate", "mine.att", "--prompt", prompt, "--temperature", 0, "--max-tokens", 12, "--json")
    assert json.loads(got)["text"] == tokenizer.decode(want.tolist())


def mine_and_theirs(load, path, theirs, head, segments=2):
    draw = numpy.random.default_rng(2)
    ids, lengths, mask = batch(draw)
    kinds = draw.integers(0, segments, ids.shape)
    out = theirs(torch.tensor(ids), attention_mask=mask, token_type_ids=torch.tensor(kinds))
    want = out.logits if head else out.last_hidden_state @ theirs.embeddings.word_embeddings.weight.T
    got = load(path).logits(ids, V, lengths, kinds)
    for b, n in enumerate(lengths):
        close(got[b, :n], want[b, :n])


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM])
@pytest.mark.parametrize("size", BERT)
def test_bert(attend, load, tmp_path, kind, size):
    config = BertConfig(vocab_size=V, **size)
    theirs = make(kind, config, tmp_path / "theirs")
    attend("convert", "theirs", "-o", "mine.att")
    head, segments = kind is BertForMaskedLM, config.type_vocab_size
    mine_and_theirs(load, tmp_path / "mine.att", theirs, head, segments)
    attend("convert", "mine.att", "--to-hugging-face", "back")
    again = kind.from_pretrained(tmp_path / "back").eval()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    mine_and_theirs(load, tmp_path / "mine.att", again, head, segments)


@pytest.mark.parametrize("size", MARIAN)
def test_marian(attend, load, tmp_path, size):
    config = MarianConfig(vocab_size=V, pad_token_id=V - 1, decoder_start_token_id=V - 1, max_position_embeddings=64, **size)
    theirs = make(MarianMTModel, config, tmp_path / "theirs")
    attend("convert", "theirs", "-o", "mine.att")
    draw = numpy.random.default_rng(3)
    ids, lengths, mask = batch(draw)
    target = draw.integers(0, V - 1, (5, 9))
    want = theirs(torch.tensor(ids), attention_mask=mask, decoder_input_ids=torch.tensor(target)).logits
    close(load(tmp_path / "mine.att").logits(ids, V, lengths, target=target), want)
    attend("convert", "mine.att", "--to-hugging-face", "back")
    again = MarianMTModel.from_pretrained(tmp_path / "back").eval()
    assert torch.equal(again(torch.tensor(ids), attention_mask=mask, decoder_input_ids=torch.tensor(target)).logits, want)


def test_parts_and_short_floats(attend, load, tmp_path):
    theirs = make(GPT2LMHeadModel, GPT2Config(vocab_size=V, **GPT2[0]), tmp_path / "theirs", max_shard_size="20KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    attend("convert", "theirs", "-o", "mine.att")
    ids = numpy.random.default_rng(1).integers(0, V, (3, 16))
    close(load(tmp_path / "mine.att").logits(ids, V), theirs(torch.tensor(ids)).logits)
    for dtype in torch.float16, torch.bfloat16, torch.float64:
        short = theirs.to(dtype)
        short.save_pretrained(tmp_path / str(dtype))
        attend("convert", str(dtype), "-o", "mine.att")
        close(load(tmp_path / "mine.att").logits(ids, V), theirs.float()(torch.tensor(ids)).logits)


@pytest.mark.parametrize("family, change, message", [
    (0, dict(activation_function="foo"), 'activation_function: "foo", expected relu, tanh'),
    (0, dict(model_type="llama"), 'model_type: "llama", expected "gpt2", "bert" or "marian"'),
    (0, dict(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx: true, expected false"),
    (0, dict(n_embd=None), "n_embd: null, expected a whole number"),
    (0, dict(n_layer=1), "the tensor transformer.h.1."),
    (0, dict(n_layer=3), "the weights lack the tensor transformer.h.2."),
    (0, dict(n_embd=64), "expected (97,64) as config.json says"),
    (1, dict(position_embedding_type="relative_key"), 'position_embedding_type: "relative_key", expected "absolute"'),
    (1, dict(is_decoder=True), "is_decoder: true, expected false"),
    (2, dict(normalize_before=True), "normalize_before: true, expected false"),
    (2, dict(decoder_attention_heads=4), "decoder_attention_heads: 4, expected 2"),
])
def test_what_is_not_supported_is_named(attend, tmp_path, family, change, message):
    make(*[(GPT2LMHeadModel, GPT2Config(vocab_size=V, **GPT2[0])), (BertModel, BertConfig(vocab_size=V, **BERT[0])),
           (MarianMTModel, MarianConfig(vocab_size=V, pad_token_id=V - 1, **MARIAN[0]))][family], tmp_path / "theirs")
    path = tmp_path / "theirs" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in attend.error("convert", "theirs", "-o", "mine.att")
    assert not (tmp_path / "mine.att").exists()


@pytest.fixture
def tuned(tmp_path):
    """A BERT that classifies, or of another kind, with its tokeniser, written by `transformers`."""
    def write(kind=BertForSequenceClassification, **options):
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "##s", "sat", "the", "."]
        (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
        tokenizer = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
        tokenizer.save_pretrained(tmp_path / "theirs")
        model = make(kind, BertConfig(vocab_size=len(words), **BERT[0], **options),
                     tmp_path / "theirs")
        return model, tokenizer
    return write


@pytest.mark.parametrize("text", ["the [MASK] sat.", "[MASK]", "a dog [MASK] the cats [MASK]"])
def test_bert_fills_in(attend, tuned, text):
    theirs, tokenizer = tuned(BertForMaskedLM)
    attend("convert", "theirs", "-o", "mine.att")
    found = attend.json("fill", "mine.att", text, "-n", 12)["fillings"]
    coded = tokenizer(text, return_tensors="pt")
    want = theirs(**coded).logits.softmax(-1)[coded["input_ids"] == tokenizer.mask_token_id]
    got = numpy.zeros(want.shape)
    for filling in found:
        got[filling["mask"], tokenizer.convert_tokens_to_ids(filling["token"])] = filling["probability"]
    close(got, want)


LINES = ["the cat sat.", "dogs", "a dog sat the cats. " * 8, "unheard", ""]


def probabilities(model, tokenizer, most):
    coded = tokenizer(LINES, padding=True, truncation=True, max_length=most, return_tensors="pt")
    return model(**coded).logits.softmax(-1)


@pytest.mark.parametrize("names", [None, {0: "no", 1: "yes", 2: "perhaps", 3: "an other one"}])
def test_bert_that_classifies(attend, tmp_path, tuned, names):
    options = {} if names is None else {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    theirs, tokenizer = tuned(**options)
    attend("convert", "theirs", "-o", "mine.att")
    (tmp_path / "lines").write_text("\n".join(LINES) + "\n")
    found = attend.json("classify", "mine.att", "lines", "-n", 9)["lines"]
    want = probabilities(theirs, tokenizer, 24)
    order = [theirs.config.id2label[i] for i in range(want.shape[1])]
    got = numpy.array([[{c["class"]: c["probability"] for c in line["classes"]}[name] for name in order]
                       for line in found])
    close(got, want)
    attend("convert", "mine.att", "--to-hugging-face", "back")
    again = BertForSequenceClassification.from_pretrained(tmp_path / "back").eval()
    assert again.config.id2label == theirs.config.id2label
    assert torch.equal(probabilities(again, tokenizer, 24), want)
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{order[i % 2]}\n" for i, line in enumerate(LINES[:4])))
    assert attend.json("evaluate", "mine.att", "pairs.tsv")["classes"] == order


@pytest.mark.parametrize("change, message", [
    (dict(problem_type="regression"), 'problem_type: "regression", expected "single_label_classification"'),
    (dict(id2label={"0": "one"}), "id2label: "), (dict(id2label={"0": "a", "2": "b"}), "id2label: "),
    (dict(id2label={"0": "a", "1": "b", "2": "c"}), "expected (3,32) as config.json says")])
def test_classes_that_cannot_be(attend, tmp_path, tuned, change, message):
    tuned()
    path = tmp_path / "theirs" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in attend.error("convert", "theirs", "-o", "mine.att")


def test_missing_files_are_named(attend, tmp_path):
    assert "no such folder" in attend.error("convert", "theirs", "-o", "mine.att")
    (tmp_path / "theirs").mkdir()
    assert "theirs/config.json: no such file" in attend.error("convert", "theirs", "-o", "mine.att")
    (tmp_path / "theirs" / "config.json").write_text("{")
    assert "theirs/config.json:1: not JSON" in attend.error("convert", "theirs", "-o", "mine.att")
    GPT2Config(vocab_size=V, **GPT2[0]).save_pretrained(tmp_path / "theirs")
    assert "model.safetensors: no such file" in attend.error("convert", "theirs", "-o", "mine.att")
