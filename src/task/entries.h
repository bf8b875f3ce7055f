/* Entries of a dictionary as lines of text, which a language model learns and writes:
 *
 *     word TAB part of speech TAB definition TAB example
 *
 * The part of speech is one letter of ATT_ENTRY_PARTS. The example may be empty; the word in it is written ~, as
 * dictionaries do, so that the model need not spell it again: "~s", "~ed". */
#ifndef ATT_TASK_ENTRIES_H
#define ATT_TASK_ENTRIES_H

#include "text/buffer.h"
#include "text/words.h"

#define ATT_ENTRY_FIELDS 4
#define ATT_ENTRY_PARTS  "nvar" /* noun, verb, adjective, adverb */
#define ATT_ENTRY_DASH   '~'

enum { ATT_ENTRY_WORD, ATT_ENTRY_PART, ATT_ENTRY_DEFINITION, ATT_ENTRY_EXAMPLE };

/* Rows "word TAB part TAB sense TAB definition TAB examples joined by ' | '" (further columns ignored) become lines,
 * appended to `out` in an order drawn at random that is the same every time: neighbours tell nothing of each other.
 * Rows are left out whose word is not of a-z alone or shorter than three letters. Of the examples the first is kept
 * that has the word, as the beginning of one. *words gets the words of all rows.
 * Fails with ATT_E_FORMAT, naming the file and the line. */
att_status att_entries_from_rows(const char *path, const att_buffer *rows, att_buffer *out, att_words **words);

/* Cuts a line, of a model perhaps, at its tabs. Whether it is an entry: four fields, a word without blanks at its ends,
 * a part of speech, a definition, no example or one with the word in it. field[] that are not there are empty. */
bool att_entry_cut(const char *line, att_text field[ATT_ENTRY_FIELDS]);

#endif
