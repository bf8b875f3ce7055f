/* Models of Hugging Face's: in and out. */
#ifndef ATTEND_CONVERT_H
#define ATTEND_CONVERT_H

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/status.h>

ATT_BEGIN

/* Read a folder with config.json, model.safetensors (or model.safetensors.index.json and its parts) and, where they are
 * there, a tokeniser's files, and write it as a model file of this library. GPT-2, BERT (BertModel, BertForMaskedLM;
 * MiniLM is one) and Marian (opus-mt). float32, float64, float16 and bfloat16 become float32. Memory: the model twice.
 * A Marian model translates as `generate` of `transformers` does: both languages' tokenisers, the special tokens and
 * the beam search of generation_config.json (or config.json) go into the file. Its max_length does not: a translation
 * has at most twice the source's tokens and 10, unless it is asked for more. Fails with ATT_E_MISSING (a file),
 * ATT_E_IO, ATT_E_FORMAT (damaged), and ATT_E_UNSUPPORTED for the first thing that this library would compute
 * otherwise: "FOLDER/config.json: activation_function: "foo", expected ...", a tensor that the model has no place for.
 * Nothing is written then. */
ATT_API att_status att_convert_import(const char *folder, const char *path, const att_allocator *allocator);

/* The way back: config.json, model.safetensors and the tokeniser's files into a folder, which is made where it is not
 * there, so that `transformers` loads what was trained here. Fails with ATT_E_UNSUPPORTED when no model of theirs
 * computes the same, naming the recipe's key. */
ATT_API att_status att_convert_export(const char *path, const char *folder, const att_allocator *allocator);

ATT_END

#endif
