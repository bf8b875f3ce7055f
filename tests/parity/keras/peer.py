"""A Keras layer and ours, with the same weights, called alike: outputs, scores and all gradients must agree."""

import attend
import keras
import numpy as np
import tensorflow as tf
from conftest import close

attend_layers = {"Attention": attend.Attention, "AdditiveAttention": attend.AdditiveAttention,
                 "MultiHeadAttention": attend.MultiHeadAttention, "GroupQueryAttention": attend.GroupQueryAttention}


def tensor(x):
    return x if x is None or isinstance(x, (bool, int)) else tf.convert_to_tensor(x)


class Pair:
    """Both layers of one kind and one configuration."""

    def __init__(self, kind, config, dtype="float32"):
        self.list_style, self.dtype = kind in ("Attention", "AdditiveAttention"), dtype
        self.theirs = getattr(keras.layers, kind)(dtype=dtype, **config)
        self.ours = attend_layers[kind](dtype=dtype, **config)

    def call_theirs(self, inputs, **call):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = self.theirs(inputs, **call) if self.list_style else self.theirs(*inputs, **call)
            output = result[0] if isinstance(result, tuple) else result
            loss = tf.reduce_sum(output * self.grad(output.shape))
        found = tape.gradient(loss, [inputs, self.theirs.trainable_variables], unconnected_gradients="zero")
        return result, [np.asarray(g) for g in found[0]], [np.asarray(g) for g in found[1]]

    def grad(self, shape):
        return np.random.default_rng(5).normal(size=shape).astype(self.dtype)

    def share_weights(self, arrays, seed=3):
        """Random weights, so that biases and scales count; set through set_weights in Keras's order."""
        shapes = [x.shape for x in arrays]
        for layer in (self.theirs, self.ours):
            if not layer.built:
                layer.build(shapes) if self.list_style else layer.build(*shapes)
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=w.shape, scale=0.5).astype(self.dtype) for w in self.theirs.get_weights()]
        assert [w.shape for w in self.ours.get_weights()] == [w.shape for w in weights]
        self.theirs.set_weights(weights)
        self.ours.set_weights(weights)
        for mine, given in zip(self.ours.get_weights(), weights):
            np.testing.assert_array_equal(mine, given)

    def compare(self, arrays, **call):
        """Output, scores, gradients of inputs and of weights."""
        self.share_weights(arrays)
        inputs = [tf.convert_to_tensor(x) for x in arrays]
        keras_call = {name: [tensor(m) for m in x] if isinstance(x, list) else tensor(x) for name, x in call.items()}
        wanted, input_grads, weight_grads = self.call_theirs(inputs, **keras_call)
        found = self.ours(list(arrays), **call) if self.list_style else self.ours(*arrays, **call)
        assert isinstance(found, tuple) == isinstance(wanted, tuple)
        for i, (mine, its) in enumerate(zip(*(x if isinstance(x, tuple) else (x,) for x in (found, wanted)))):
            close(mine, its, self.dtype, ("output", "scores")[i])
        output = found[0] if isinstance(found, tuple) else found
        assert output.shape == self.ours.compute_output_shape(*([[x.shape for x in arrays]] if self.list_style else
                                                               [x.shape for x in arrays]))
        if self.list_style:
            call.pop("return_attention_scores", None)
            mine, own = self.ours.gradients(self.grad(output.shape), list(arrays), **call)
        else:
            mine, own = self.ours.gradients(self.grad(output.shape), *arrays, **call)
        for name, x, its in zip(("query", "value", "key")[: len(arrays)], mine, input_grads, strict=True):
            close(x, its, self.dtype, f"gradient of {name}")
        for w, x, its in zip(self.ours.weights, own, weight_grads, strict=True):
            close(x, its, self.dtype, f"gradient of {w.name}")
        return found
