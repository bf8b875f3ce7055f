"""Makes what Keras's attention layers and PyTorch's scaled_dot_product_attention compute, with gradients, for
tests/op/test_attention_golden.c. float64, but where a case says float32. One peer a run: they do not share a process.

    pip install keras tensorflow-cpu torch
    python tests/op/attention_golden.py keras > tests/op/golden/attention_keras.json
    python tests/op/attention_golden.py torch > tests/op/golden/attention_torch.json

A case holds the inputs, the descriptor that should give the same numbers, and the peer's results:
desc    score, scale, causal, q_offset, window [left, right], masked: fields of att_attention_desc, where not 0
in      q, k, v as (B,H,T,D), or query, key, value as (B,T,C) with the layer's kernels; score_w, bias, mask, query_mask
self    value is query
times   what q and k are multiplied by beforehand
out     o, weights, and gradients of sum(o * d_o): dq, dk, dv, ..., dkv when key and value are one array
In arrays null stands for -inf.
"""
import json
import os
import sys

import numpy as np

if sys.argv[1:] == ["keras"]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf
    versions = f"keras {keras.__version__}, tensorflow {tf.__version__}"
elif sys.argv[1:] == ["torch"]:
    import torch
    from torch.nn.attention.bias import causal_lower_right
    versions = f"torch {torch.__version__}"
else:
    sys.exit(__doc__)

rng = np.random.default_rng(4)
cases = []


def draw(*shape):
    return np.round(rng.uniform(-1, 1, shape), 3)


def draw_mask(*shape):
    mask = rng.uniform(size=shape) < 0.65
    mask[..., 0] = True
    return mask


def array(x):
    x = np.asarray(x)
    data = [int(e) if x.dtype == bool else float(f"{e:.14g}") for e in x.ravel()]
    return {"shape": list(x.shape), "data": data}


def add(name, desc, inputs, out, **more):
    cases.append({"name": name, "desc": desc, **more, "in": {k: array(x) for k, x in inputs.items() if x is not None},
                  "out": {k: array(x) for k, x in out.items() if x is not None}})


def heads(x):
    """(B,T,D) as (B,1,T,D)"""
    return np.asarray(x)[:, None]


# ---- Attention and AdditiveAttention ----

def run_layer(layer, inputs, mask, causal, d_o, dtype):
    x = [tf.constant(a, dtype) for a in inputs]
    with tf.GradientTape() as tape:
        tape.watch(x)
        o, weights = layer(list(x), mask=mask, use_causal_mask=causal, return_attention_scores=True)
        loss = tf.reduce_sum(o * tf.constant(d_o, dtype))
    grads = tape.gradient(loss, x + [w.value for w in layer.trainable_weights])
    return o.numpy(), weights.numpy(), [g.numpy() for g in grads]


def basic(name, kind, weights=(), sizes=(2, 3, 4, 3, 2), key=True, value_mask=None, query_mask=None, causal=False,
          dtype="float64", masked="zero", **options):
    """One call of keras.layers.Attention (kind dot or concat) or AdditiveAttention (kind additive)."""
    B, Tq, Tk, D, Dv = sizes
    q, v = draw(B, Tq, D), draw(B, Tk, Dv if key else D)
    inputs = [q, v] + ([draw(B, Tk, D)] if key else [])
    d_o = draw(B, Tq, v.shape[-1])
    if kind == "additive":
        layer = keras.layers.AdditiveAttention(dtype=dtype, **options)
    else:
        layer = keras.layers.Attention(score_mode=kind, dtype=dtype, **options)
    layer.build([x.shape for x in inputs])
    layer.set_weights([np.asarray(w) for w in weights])
    mask = None if value_mask is None and query_mask is None else [query_mask, value_mask]
    o, w, g = run_layer(layer, inputs, mask, causal, d_o, dtype)
    desc = {"score": "dot" if kind == "dot" else "additive", "masked": masked, "causal": causal}
    given = {"q": heads(q), "k": heads(inputs[-1]), "v": heads(v), "d_o": heads(d_o), "query_mask": query_mask,
             "mask": None if value_mask is None else value_mask[:, None, None, :]}
    out = {"o": heads(o), "weights": heads(w), "dq": heads(g[0])}
    out.update({"dv": heads(g[1]), "dk": heads(g[2])} if key else {"dkv": heads(g[1])})
    named = dict(zip([p.name for p in layer.trainable_weights], zip(weights, g[len(inputs):])))
    times = 1.0
    if kind == "dot":
        desc["scale"] = float(named["scale"][0]) if "scale" in named else 1.0
        out["dscale"] = named["scale"][1] if "scale" in named else None
    elif kind == "concat":
        times = float(named["scale"][0]) if "scale" in named else 1.0
        out["dtimes"] = named["scale"][1] if "scale" in named else None
        given["score_w"] = np.full(D, named["concat_score_weight"][0])
        out["dscore_w_sum"] = named["concat_score_weight"][1]
    elif "scale" in named:
        given["score_w"], out["dscore_w"] = named["scale"]
    if masked == "uniform":  # Keras's row is uniform by saturation: a gradient leaves it, where attend has none
        del out["dq"], out["dk"]
    add(name, desc, given, out, times=times, float32=dtype == "float32")


def basics():
    for kind in ("dot", "concat", "additive"):
        layer = "AdditiveAttention" if kind == "additive" else f"Attention {kind}"
        plain = {"use_scale": False} if kind == "additive" else {}
        one = [1.5] if kind == "concat" else []
        scaled = [draw(3)] if kind == "additive" else [0.75] + one
        v_mask, q_mask = draw_mask(2, 4), draw_mask(2, 3)
        q_mask[1, 1] = False
        basic(f"keras {layer}: plain", kind, one, **plain)
        basic(f"keras {layer}: key is value", kind, one, key=False, **plain)
        basic(f"keras {layer}: use_scale", kind, scaled, use_scale=True)
        basic(f"keras {layer}: value_mask", kind, scaled, use_scale=True, value_mask=v_mask)
        basic(f"keras {layer}: query_mask", kind, one, query_mask=q_mask, **plain)
        basic(f"keras {layer}: both masks", kind, scaled, use_scale=True, value_mask=v_mask, query_mask=q_mask)
        basic(f"keras {layer}: causal", kind, one, causal=True, **plain)
        basic(f"keras {layer}: causal, more queries", kind, one, sizes=(1, 5, 3, 4, 2), causal=True, **plain)
        basic(f"keras {layer}: causal and value_mask", kind, scaled, use_scale=True, causal=True, value_mask=v_mask)
        basic(f"keras {layer}: one query, one key", kind, one, sizes=(1, 1, 1, 1, 1), **plain)
        basic(f"keras {layer}: float32", kind, one, sizes=(3, 7, 6, 5, 3), dtype="float32", **plain)
    gone = np.array([[True, False, True, False], [False] * 4])
    basic("trap: a fully masked row of Attention is uniform in float32", "dot", value_mask=gone, dtype="float32",
          masked="uniform")
    basic("trap: a fully masked causal row is uniform over future keys too", "dot", sizes=(2, 4, 4, 3, 2), causal=True,
          value_mask=gone, dtype="float32", masked="uniform")
    basic("trap: Attention does not divide by sqrt(d)", "dot", sizes=(1, 2, 3, 16, 2))
    basic("trap: concat is a sum of tanh and its scale is inside", "concat", [0.5, 2.0], use_scale=True)
    basic("trap: the scale of AdditiveAttention is a vector outside of tanh", "additive", [draw(3)])
    basic("trap: query_mask zeroes the output and keeps the scores", "dot", query_mask=np.array([[1, 0, 1], [0, 0, 1]], bool))
    basic("trap: causal starts at the top left", "dot", sizes=(1, 2, 5, 4, 2), causal=True)


# ---- MultiHeadAttention and GroupQueryAttention ----

KERNELS = {"query": "q", "key": "k", "value": "v", "gate": "g", "attention_output": "o"}


def kernels_of(layer):
    """{"Wq": ..., "bq": ...} as arrays of the test: kernels (C,H,D) or, for the output, (H,Dv,C)."""
    found = {}
    for w in layer.trainable_weights:
        kind, owner = w.name, w.path.split("/")[-2]
        found[("W" if kind == "kernel" else "b") + KERNELS[owner]] = w
    return found


def multi(name, layer, sizes=(1, 3, 5), widths=(4, 4, 4), key=True, self_attention=False, desc=None, fused=False, **call):
    B, Tq, Tk = sizes
    query = draw(B, Tq, widths[0])
    value = query if self_attention else draw(B, Tk, widths[1])
    x = {"query": query, "value": value, "key": draw(B, Tk, widths[2]) if key else None}
    x = {k: tf.constant(a) for k, a in x.items() if a is not None}
    if self_attention:
        x["value"] = x["query"]
    args = [x["query"], x["value"]] + ([x["key"]] if key else [])
    layer(*args)
    for w in layer.trainable_weights:
        w.assign(draw(*w.shape))
    o, weights = layer(*args, return_attention_scores=True, **call)
    same = layer(*args, **call)
    if fused:
        o, weights = same, None
    else:
        assert np.allclose(o, same, rtol=0, atol=1e-12) or "trap" in name
    d_o = draw(*o.shape)
    kernels = kernels_of(layer)
    distinct = list(dict.fromkeys(id(a) for a in x.values()))
    targets = [a for a in {id(a): a for a in x.values()}.values()] + [w.value for w in kernels.values()]
    with tf.GradientTape() as tape:
        tape.watch(targets)
        y = layer(*args, return_attention_scores=not fused, **call)
        loss = tf.reduce_sum((y if fused else y[0]) * d_o)
    grads = [g.numpy() for g in tape.gradient(loss, targets)]
    given = {k: a.numpy() for k, a in x.items() if not (self_attention and k == "value")}
    given.update({k: w.numpy() for k, w in kernels.items()}, d_o=d_o, mask=mask_of(call))
    out = {"o": o.numpy(), "weights": None if weights is None else weights.numpy()}
    names = ["d" + k for k in given if k in ("query", "value", "key")]
    out.update(zip(names + ["d" + k for k in kernels], grads))
    assert len(distinct) == len(names)
    add(name, {"score": "dot", **(desc or {})}, given, out, times=1.0, layer=True, self=self_attention)


def mask_of(call):
    """The mask that the layer makes of its masks, as (B,1,Tq,Tk) or (B,1,1,Tk)."""
    mask = None
    for name, at in (("attention_mask", 1), ("value_mask", (1, 2)), ("key_mask", (1, 2))):
        if name in call:
            part = np.expand_dims(np.asarray(call[name], bool), at)
            mask = part if mask is None else mask & part
    return mask


def multis():
    # key_dim 4 and 1: Keras rounds 1/sqrt(key_dim) to float32 even in float64
    mha, gqa = keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention
    att_mask, v_mask, k_mask = draw_mask(1, 3, 5), draw_mask(1, 5), draw_mask(1, 5)

    def layer(**options):
        return mha(2, 4, dtype="float64", **options)

    multi("keras MultiHeadAttention: plain", layer())
    multi("keras MultiHeadAttention: self", layer(), self_attention=True, key=False, sizes=(2, 4, 4))
    multi("keras MultiHeadAttention: key is value", layer(), key=False)
    multi("keras MultiHeadAttention: value_dim", layer(value_dim=3), widths=(4, 3, 5))
    multi("keras MultiHeadAttention: use_bias off", layer(use_bias=False))
    multi("keras MultiHeadAttention: output_shape", layer(output_shape=3))
    multi("keras MultiHeadAttention: attention_mask", layer(), attention_mask=att_mask)
    multi("keras MultiHeadAttention: value_mask and key_mask", layer(), value_mask=v_mask, key_mask=k_mask)
    multi("keras MultiHeadAttention: causal", layer(), use_causal_mask=True, desc={"causal": True})
    multi("keras MultiHeadAttention: causal and masks", layer(), use_causal_mask=True, attention_mask=att_mask,
          value_mask=v_mask, desc={"causal": True})
    multi("keras MultiHeadAttention: sliding_window", layer(sliding_window=2), desc={"window": [1, 1]})
    multi("keras MultiHeadAttention: causal sliding_window", layer(sliding_window=2), use_causal_mask=True,
          sizes=(1, 5, 5), desc={"window": [1, 0]})
    multi("keras MultiHeadAttention: use_gate", layer(use_gate=True, value_dim=3))
    multi("keras MultiHeadAttention: one head", mha(1, 1, dtype="float64"), sizes=(1, 1, 1))
    for queries, keys in ((4, 2), (3, 1), (2, 2)):
        multi(f"keras GroupQueryAttention: {queries} heads, {keys} key heads", gqa(4, queries, keys, dtype="float64"))
    multi("keras GroupQueryAttention: masks", gqa(4, 4, 2, dtype="float64"), attention_mask=att_mask, value_mask=v_mask)
    multi("keras GroupQueryAttention: causal self", gqa(4, 4, 2, dtype="float64"), self_attention=True, key=False,
          sizes=(2, 4, 4), use_causal_mask=True, desc={"causal": True})
    multi("keras GroupQueryAttention: use_bias off, use_gate", gqa(4, 4, 2, use_bias=False, use_gate=True, dtype="float64"))
    multi("keras GroupQueryAttention: sliding_window", gqa(4, 4, 2, sliding_window=3, dtype="float64"), sizes=(1, 6, 6),
          desc={"window": [2, 2]})
    gone = np.array([[True, False, True], [False] * 3])
    multi("trap: MultiHeadAttention with scores zeroes a fully masked row", layer(), (2, 2, 3), value_mask=gone)
    multi("trap: MultiHeadAttention without scores makes a fully masked row uniform", layer(), (2, 2, 3),
          value_mask=gone, desc={"masked": "uniform"}, fused=True)


# ---- torch.nn.functional.scaled_dot_product_attention ----

def sdpa(name, sizes=(1, 2, 2, 3, 5, 3, 2), desc=None, mask=None, bias=None, attn_mask=None, **call):
    B, Hq, Hkv, Tq, Tk, D, Dv = sizes
    q, k, v = draw(B, Hq, Tq, D), draw(B, Hkv, Tk, D), draw(B, Hkv, Tk, Dv)
    d_o = draw(B, Hq, Tq, Dv)
    t = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    b = None if bias is None else torch.tensor(bias, requires_grad=True)
    if mask is not None:
        attn_mask = torch.tensor(mask)
    o = torch.nn.functional.scaled_dot_product_attention(*t, attn_mask=b if b is not None else attn_mask, **call)
    o.backward(torch.tensor(d_o))
    grads = dict(zip(("dq", "dk", "dv"), (x.grad.numpy() for x in t)))
    add(name, {"score": "dot", **(desc or {})}, {"q": q, "k": k, "v": v, "d_o": d_o, "mask": mask, "bias": bias},
        {"o": o.detach().numpy(), **grads, "dbias": None if b is None else b.grad.numpy()}, times=1.0)


def torches():
    bias = draw(1, 1, 3, 5)
    hiding = draw(3, 5)
    hiding[1, 2] = hiding[0, 4] = -np.inf
    sdpa("torch: plain")
    sdpa("torch: scale", scale=0.25, desc={"scale": 0.25})
    sdpa("torch: bool mask (Tq,Tk)", mask=draw_mask(3, 5))
    sdpa("torch: bool mask (B,H,Tq,Tk)", mask=draw_mask(1, 2, 3, 5))
    sdpa("torch: bool mask (B,1,1,Tk)", mask=draw_mask(1, 1, 1, 5))
    sdpa("torch: float mask (B,1,Tq,Tk)", bias=bias)
    sdpa("torch: float mask with -inf", bias=hiding)
    sdpa("torch: is_causal", sizes=(2, 2, 2, 4, 4, 4, 2), is_causal=True, desc={"causal": True})
    sdpa("torch: enable_gqa", sizes=(2, 4, 2, 3, 4, 3, 2), enable_gqa=True)
    sdpa("torch: enable_gqa, one key head", sizes=(1, 6, 1, 2, 7, 5, 3), enable_gqa=True, mask=draw_mask(2, 7))
    sdpa("torch: one query", sizes=(2, 2, 2, 1, 7, 4, 3))
    sdpa("trap: is_causal of torch starts at the top left", sizes=(1, 2, 2, 3, 5, 4, 2), is_causal=True,
         desc={"causal": True})
    sdpa("trap: is_causal of torch with more queries than keys", sizes=(1, 2, 2, 5, 3, 4, 2), is_causal=True,
         desc={"causal": True})
    sdpa("trap: lower right causal is an offset", sizes=(1, 2, 2, 3, 5, 4, 2), attn_mask=causal_lower_right(3, 5),
         desc={"causal": True, "q_offset": 2})
    gone = draw_mask(3, 5)
    gone[1] = False
    sdpa("trap: a fully masked row of torch is zero", mask=gone)
    sdpa("trap: a true bool mask of torch may attend", mask=np.array([[True, False, False, False, True]] * 3))


if sys.argv[1] == "keras":
    basics()
    multis()
else:
    torches()
rows = ",\n".join(json.dumps(c) for c in cases)
print('{"made_with": "%s", "cases": [\n%s\n]}' % (versions, rows.replace("-Infinity", "null")))
