/* Everything: the public API of libattend. Each header is its own manual and may be included alone. */
#ifndef ATTEND_H
#define ATTEND_H

#include <attend/addressing.h>
#include <attend/attention.h>
#include <attend/classify.h>
#include <attend/convert.h>
#include <attend/dictionary.h>
#include <attend/exec.h>
#include <attend/export.h>
#include <attend/file.h>
#include <attend/glimpse.h>
#include <attend/introspective.h>
#include <attend/language.h>
#include <attend/measure.h>
#include <attend/mechanism.h>
#include <attend/memory.h>
#include <attend/model.h>
#include <attend/npy.h>
#include <attend/ops.h>
#include <attend/option.h>
#include <attend/plot.h>
#include <attend/pointer.h>
#include <attend/product.h>
#include <attend/random.h>
#include <attend/recipe.h>
#include <attend/score.h>
#include <attend/seq2seq.h>
#include <attend/status.h>
#include <attend/tape.h>
#include <attend/text.h>
#include <attend/train.h>
#include <attend/transformer.h>
#include <attend/translator.h>
#include <attend/view.h>

#endif
