#!/usr/bin/env python3
"""Inference with random weights, attend beside other programs, in turns.

usage: inference.py ATTEND translate|generate [--peers ctranslate2] [--llama-bench PATH] [--rounds 3] [--only TEXT]
       needs: pip install ctranslate2 numpy (translate); torch transformers, and gguf with llama.cpp's llama-bench (generate)

translate: the Transformer of 6+6 layers, width 512, 32,000 words; 20 source words, 20 words made, against CTranslate2.
generate: GPT-2 of 124 million parameters; 64 words written one by one, and a prompt of 512 read, against transformers
(float32) and llama.cpp (f32, bf16, q8_0). w8a8 is beside the peers' 8 bits, as int8 is. Prints tokens per second (medians
of the rounds) and the ratios."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

V, C, H, L, F, WORDS = 32000, 512, 8, 6, 2048, 20


def base_model(folder):
    """CTranslate2's base model with random weights."""
    import ctranslate2
    import numpy as np
    if os.path.exists(folder):
        return
    random = np.random.default_rng(0)

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) * 0.04).astype(np.float32)

    def linear(layer, outputs, inputs):
        layer.weight, layer.bias = matrix(outputs, inputs), np.zeros(outputs, np.float32)

    def norm(layer):
        layer.gamma, layer.beta = np.ones(C, np.float32), np.zeros(C, np.float32)

    spec = ctranslate2.specs.TransformerSpec.from_config((L, L), H, pre_norm=False)
    spec.encoder.embeddings[0].weight, spec.decoder.embeddings.weight = matrix(V, C), matrix(V, C)
    linear(spec.decoder.projection, V, C)
    for stack in spec.encoder, spec.decoder:
        stack.scale_embeddings = True
        for layer in stack.layer:
            attentions = [(layer.self_attention, (3 * C, C))]
            if stack is spec.decoder:
                attentions.append((layer.attention, (C, 2 * C, C)))
            for attention, widths in attentions:
                for part, width in zip(attention.linear, widths):
                    linear(part, width, C)
                norm(attention.layer_norm)
            linear(layer.ffn.linear_0, F, C)
            linear(layer.ffn.linear_1, C, F)
            norm(layer.ffn.layer_norm)
    words = ["<unk>", "<s>", "</s>"] + [f"w{i}" for i in range(V - 3)]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.validate()
    spec.optimize()
    os.makedirs(folder)
    spec.save(folder)


def ctranslate2_runs(folder, threads):
    """Names and calls; a call returns the tokens that it made."""
    import ctranslate2
    base_model(folder)

    def make(kind, batch, beam):
        translator = ctranslate2.Translator(folder, compute_type=kind, inter_threads=1, intra_threads=threads)
        source = [[f"w{(i * 37 + j * 11) % 30000}" for j in range(WORDS)] for i in range(batch)]

        def call():
            found = translator.translate_batch(source, beam_size=beam, max_decoding_length=WORDS,
                                               min_decoding_length=WORDS, max_batch_size=0)
            return sum(len(x.hypotheses[0]) for x in found)
        return call

    cases = [("f32", 1, 1), ("int8", 1, 1), ("f32", 32, 1), ("int8", 32, 1), ("f32", 1, 4), ("int8", 1, 4), ("f32", 32, 4),
             ("int8", 32, 4), ("w8a8", 1, 1), ("w8a8", 32, 1), ("w8a8", 32, 4)]
    kinds = {"f32": "float32", "int8": "int8", "w8a8": "int8"}
    return [(["translate", "--weights", w, "--batch", str(b), "--beam", str(k)], {"ctranslate2": (make, kinds[w], b, k)})
            for w, b, k in cases]


def gpt2_runs(threads, llama_bench, folder):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    torch.set_num_threads(threads)

    def make(prefill):
        model = GPT2LMHeadModel(GPT2Config()).eval()
        ids = torch.randint(0, 50000, (1, 512 if prefill else 1))

        @torch.no_grad()
        def call():
            state = model(ids, use_cache=True, logits_to_keep=1)
            for _ in range(0 if prefill else 63):
                state = model(state.logits[:, -1:].argmax(-1), past_key_values=state.past_key_values, use_cache=True)
            return 512 if prefill else 64
        return call

    runs = [(["generate", "--weights", w], {}) for w in ("f32", "bf16", "int8", "w8a8")]
    runs.append((["generate", "--prefill"], {}))
    runs[0][1]["transformers"] = (make, False)
    runs[-1][1]["transformers"] = (make, True)
    if llama_bench:
        for (_, peers), (kind, prompt) in zip(runs, (("f32", 0), ("bf16", 0), ("q8_0", 0), ("q8_0", 0), ("f32", 512))):
            path = os.path.join(folder, kind + ".gguf")
            gpt2_file(path, kind)
            peers["llama.cpp"] = (llama, llama_bench, path, prompt, threads)
    return runs


def gpt2_file(path, kind):
    """GPT-2 with random weights as llama.cpp reads it."""
    import gguf
    import numpy as np
    if os.path.exists(path):
        return
    random = np.random.default_rng(0)
    C, L, V, T = 768, 12, 50257, 1024
    w = gguf.GGUFWriter(path, "gpt2")
    w.add_context_length(T)
    w.add_embedding_length(C)
    w.add_feed_forward_length(4 * C)
    w.add_block_count(L)
    w.add_head_count(12)
    w.add_layer_norm_eps(1e-5)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([f"w{i}" for i in range(V)])
    w.add_token_merges(["a b"])
    types = {"f32": gguf.GGMLQuantizationType.F32, "bf16": gguf.GGMLQuantizationType.BF16,
             "q8_0": gguf.GGMLQuantizationType.Q8_0}

    def add(name, *shape):
        values = (random.standard_normal(shape) * 0.02).astype(np.float32)
        if len(shape) == 1 or name.startswith("position"):
            w.add_tensor(name, values)
        else:
            w.add_tensor(name, gguf.quants.quantize(values, types[kind]), raw_dtype=types[kind])

    add("token_embd.weight", V, C)
    add("position_embd.weight", T, C)
    add("output.weight", V, C)
    for name in ["output_norm"] + [f"blk.{i}.{n}" for i in range(L) for n in ("attn_norm", "ffn_norm")]:
        add(name + ".weight", C)
        add(name + ".bias", C)
    for i in range(L):
        for name, outputs, inputs in (("attn_qkv", 3 * C, C), ("attn_output", C, C), ("ffn_up", 4 * C, C),
                                      ("ffn_down", C, 4 * C)):
            add(f"blk.{i}.{name}.weight", outputs, inputs)
            add(f"blk.{i}.{name}.bias", outputs)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def llama(program, path, prompt, threads):
    """llama-bench measures itself: its own tokens per second."""
    sizes = ["-p", str(prompt), "-n", "0"] if prompt else ["-p", "0", "-n", "64"]

    def call():
        out = subprocess.run([program, "-m", path, "-t", str(threads), "-r", "1", "-o", "json", *sizes], check=True,
                             capture_output=True, text=True).stdout
        return json.loads(out)[0]["avg_ts"]
    call.measures_itself = True
    return call


def tokens_per_s(call, runs):
    if getattr(call, "measures_itself", False):
        return call()
    call()
    rates = []
    for _ in range(runs):
        began = time.perf_counter()
        tokens = call()
        rates.append(tokens / (time.perf_counter() - began))
    return statistics.median(rates)


def compare(attend, arguments, peers, rounds, runs, threads):
    command = [attend, "bench", *arguments, "--threads", str(threads), "--runs", str(runs), "--json"]
    calls = {name: make(*rest) for name, (make, *rest) in peers.items()}
    ours, shares, theirs = [], [], {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            theirs[name].append(tokens_per_s(call, runs))
        time.sleep(0.3)  # their idle threads go on spinning for a while
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ours.append(result["tokens_per_s"])
        shares.append(result["share"])
    line = {"bench": " ".join(arguments), "attend": round(statistics.median(ours), 1),
            "share": round(statistics.median(shares), 2), "of": result["limit_name"]}
    for name, rates in theirs.items():
        line[name] = round(statistics.median(rates), 1)
        line[name + "_ratio"] = round(statistics.median(x / y for x, y in zip(ours, rates)), 2)
    print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("what", choices=["translate", "generate"])
    parser.add_argument("--llama-bench", type=pathlib.Path)
    parser.add_argument("--folder", help="keep the peers' model files here; made if it is not there")
    parser.add_argument("--only", default="", help="only rows whose arguments contain this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.folder or temporary
        os.makedirs(folder, exist_ok=True)
        rows = ctranslate2_runs(os.path.join(folder, "base"), a.threads) if a.what == "translate" else \
            gpt2_runs(a.threads, a.llama_bench, folder)
        for arguments, peers in rows:
            if a.only in " ".join(arguments):
                compare(a.attend, arguments, peers, a.rounds, a.runs, a.threads)


if __name__ == "__main__":
    main()
