"""A random Marian model with SentencePiece models that were trained: the same translations as `generate`, and back."""

import json

import hard_text
import numpy
import pytest
import sentencepiece
import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

torch.set_num_threads(1)
torch.set_grad_enabled(False)
SIZE = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
            decoder_ffn_dim=64, activation_function="swish", scale_embedding=True, max_position_embeddings=256)
MOST = 24  # tokens of a translation, </s> included
LINES = [">>fra<< The cat sleeps on the warm sofa.", "A young woman  plays the violin, and nobody noticed!", "1987 (or so they say)",
         "caf\u00e9 na\u00efve \u4f60\u597d \U0001f642", "it rained", ">>xyz<<unknown language", "  x", "not a >>fra<< code",
         *hard_text.mixture(40, 9)]
SPELLED = ("<pad>", "<unk>", "</s>")  # what `transformers` takes for the tokens themselves
LINES = [line for line in LINES if line.strip() and not set("\0\n\r\t") & set(line) and not any(name in line for name in SPELLED)][:24]


def train(folder, name, seed, size):
    """A unigram model of SentencePiece's; its pieces."""
    text = [line.translate({0: None, 10: " ", 13: " "}) for line in hard_text.mixture(60, seed)]
    (folder / "corpus").write_text("\n".join(40 * (text + LINES[:6])))
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "corpus"), model_prefix=str(folder / name), vocab_size=size,
                                             hard_vocab_limit=False, character_coverage=0.98, minloglevel=2)
    (folder / f"{name}.model").rename(folder / f"{name}.spm")
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
    return [model.id_to_piece(i) for i in range(3, len(model))]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Their tokeniser: two languages, whose pieces one vocabulary numbers in an order of its own."""
    folder = tmp_path_factory.mktemp("marian")
    pieces = ["</s>", "<unk>", ">>fra<<", *reversed(train(folder, "source", 1, 1200) + train(folder, "target", 2, 1150)), "<pad>"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"))


def make(texts, folder, ending=5.0, seed=0, unknown=-1e4, **generation):
    """A model that prefers some tokens to others and finds an end now and then; it never makes <unk>, whose text differs."""
    pad = texts.pad_token_id
    torch.manual_seed(seed)
    theirs = MarianMTModel(MarianConfig(vocab_size=len(texts), pad_token_id=pad, decoder_start_token_id=pad, **SIZE)).eval()
    for name, weight in theirs.named_parameters():
        if "embed_positions" not in name:
            weight.add_(torch.randn_like(weight) * 0.2)
    theirs.final_logits_bias.normal_()
    theirs.final_logits_bias[0, texts.eos_token_id] = ending
    theirs.final_logits_bias[0, texts.unk_token_id] = unknown
    theirs.final_logits_bias[0, pad] = 3.0  # likely, were it not a bad word
    theirs.generation_config = GenerationConfig(
        **dict(pad_token_id=pad, eos_token_id=0, forced_eos_token_id=0, decoder_start_token_id=pad, bad_words_ids=[[pad]], num_beams=4,
               max_length=512, renormalize_logits=True) | generation)
    theirs.save_pretrained(folder)
    texts.save_pretrained(folder)
    return theirs


def translations(theirs, texts, lines, **options):
    """Text and score of each line's best, and whether it ended before it had to."""
    coded = texts(lines, return_tensors="pt", padding=True)
    out = theirs.generate(**coded, max_length=MOST + 1, output_scores=True, return_dict_in_generate=True, **options)
    scores = out.get("sequences_scores", torch.zeros(len(out.sequences))).tolist()
    ended = [MOST >= len(row) or row[MOST].item() == texts.pad_token_id for row in out.sequences]
    return list(zip(texts.batch_decode(out.sequences, skip_special_tokens=True), scores, ended))


def ours(attend, *options):
    return attend("translate", "mine.att", "lines", "--max-length", MOST - 1, "--batch", 7, *options).split("\n")[:-1]


def test_the_text_round_trip(attend, attend_library, tmp_path, texts):
    make(texts, tmp_path / "theirs")
    source, target = attend_library.read(tmp_path / "theirs"), attend_library.read(tmp_path / "theirs", target=True)
    for line in [*LINES, *hard_text.mixture(500, 3)]:
        if not any(name in line for name in SPELLED):
            assert source.encode(line) == texts(line, add_special_tokens=False).input_ids, line
            want = texts(text_target=line, add_special_tokens=False).input_ids
            assert target.encode(line) == want, line
            if texts.unk_token_id not in want:
                assert target.decode(want).strip() == texts.decode(want, skip_special_tokens=True), line


@pytest.mark.parametrize("settings", [
    {}, dict(num_beams=1), dict(num_beams=6, length_penalty=0.6), dict(early_stopping=True), dict(renormalize_logits=False, num_beams=3),
    dict(length_penalty=0.0, num_beams=2)])
def test_translations(attend, write, tmp_path, texts, settings):
    different = 0
    write("lines", LINES)
    for seed, ending in enumerate([3.5, 6.0]):
        theirs = make(texts, tmp_path / "theirs", ending, seed, **settings)
        attend("convert", "theirs", "-o", "mine.att")
        free = settings.get("renormalize_logits", True)  # else the end that is forced costs us what it costs elsewhere
        pairs = [(mine, text) for mine, (text, _, ended) in zip(ours(attend), translations(theirs, texts, LINES)) if free or ended]
        assert [mine for mine, _ in pairs] == [text for _, text in pairs]
        different += len({text for _, text in pairs})
    assert different > 6


def test_scores_of_the_best_few(attend, write, tmp_path, texts):
    write("lines", LINES)
    theirs = make(texts, tmp_path / "theirs")
    attend("convert", "theirs", "-o", "mine.att")
    want = translations(theirs, texts, LINES, num_beams=5, num_return_sequences=3)
    got = [line.split("\t") for line in ours(attend, "--beam", 5, "--n-best", 3)]
    assert [text for _, _, text in got] == [text for text, _, _ in want]
    assert numpy.allclose([float(score) for _, score, _ in got], [score for _, score, _ in want], atol=1e-4)


def test_where_it_looks(attend, write, tmp_path, texts):
    """Every layer and head, and the picture."""
    theirs = make(texts, tmp_path / "theirs")
    attend("convert", "theirs", "-o", "mine.att")
    write("lines", LINES[1:2])
    attend("translate", "mine.att", "lines", "--max-length", MOST - 1, "--beam", 1, "--attention", "looked", "-o", "text")
    coded = texts(LINES[1], return_tensors="pt")
    out = theirs.generate(**coded, max_length=MOST + 1, num_beams=1)
    theirs.set_attn_implementation("eager")
    looked = theirs(**coded, decoder_input_ids=out[:, :-1], output_attentions=True)
    records = {record["kind"]: record for record in map(json.loads, (tmp_path / "looked").read_text().splitlines())}
    for kind, weights in (("encoder", looked.encoder_attentions), ("decoder", looked.decoder_attentions), ("cross", looked.cross_attentions)):
        want = torch.stack(weights)[:, 0].numpy()
        assert numpy.abs(numpy.array(records[kind]["weights"]) - want).max() <= 2e-5, kind
    assert records["cross"]["source"] == texts.convert_ids_to_tokens(coded.input_ids[0])
    assert records["cross"]["target"] == texts.convert_ids_to_tokens(out[0, 1:])
    assert records["decoder"]["target"] == texts.convert_ids_to_tokens(out[0, :-1])
    attend("plot", "looked", "-o", "looked.svg")
    assert "<svg" in (tmp_path / "looked.svg").read_text()


def test_the_way_back(attend, write, tmp_path, texts):
    theirs = make(texts, tmp_path / "theirs", num_beams=3, length_penalty=0.8)
    attend("convert", "theirs", "-o", "mine.att")
    attend("convert", "mine.att", "--to-hugging-face", "back")
    again, again_texts = MarianMTModel.from_pretrained(tmp_path / "back").eval(), MarianTokenizer.from_pretrained(tmp_path / "back")
    assert again_texts.get_vocab() == texts.get_vocab()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    assert translations(again, again_texts, LINES) == translations(theirs, texts, LINES)


def test_evaluation(attend, write, tmp_path, texts):
    """The loss of the pairs, from the labels that `transformers` shifts itself."""
    theirs = make(texts, tmp_path / "theirs", unknown=0.0)
    attend("convert", "theirs", "-o", "mine.att")
    pairs = [*zip(LINES[:8], LINES[8:])]
    write("pairs", [f"{a}\t{b}" for a, b in pairs])
    loss = tokens = 0
    for a, b in pairs:
        labels = texts(text_target=b, return_tensors="pt").input_ids
        loss += theirs(**texts(a, return_tensors="pt"), labels=labels).loss.item() * labels.shape[1]
        tokens += labels.shape[1]
    got = attend.json("evaluate", "mine.att", "pairs")
    assert abs(got["loss"] - loss / tokens) <= 2e-5 * loss / tokens


@pytest.mark.parametrize("change, message", [
    (dict(no_repeat_ngram_size=3), "generation_config.json: no_repeat_ngram_size: 3, expected 0"),
    (dict(bad_words_ids=[[5]]), "bad_words_ids: [[5]], expected [["), (dict(decoder_start_token_id=10**6), "expected a token of 0 to"),
    (dict(forced_eos_token_id=7), "forced_eos_token_id: 7, expected 0")])
def test_other_searches_are_refused(attend, tmp_path, texts, change, message):
    make(texts, tmp_path / "theirs")
    path = tmp_path / "theirs" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in attend.error("convert", "theirs", "-o", "mine.att")


def test_what_is_missing_is_named(attend, write, tmp_path, texts):
    make(texts, tmp_path / "theirs")
    write("lines", LINES)
    (tmp_path / "theirs" / "target.spm").unlink()
    assert "target.spm: no such file, expected beside source.spm" in attend.error("convert", "theirs", "-o", "mine.att")
    for name in ("source.spm", "vocab.json"):
        (tmp_path / "theirs" / name).unlink()
    attend("convert", "theirs", "-o", "mine.att")
    assert "no source tokeniser, which text needs" in attend.error("translate", "mine.att", "lines")
