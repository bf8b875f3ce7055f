/* Bytes that grow. The first failure sticks: later calls do nothing, and one look at `status` at the end reports it. */
#ifndef ATT_BUFFER_H
#define ATT_BUFFER_H

#include <stdio.h>

#include "base/base.h"

typedef struct att_buffer {
    char *data;
    size_t bytes, capacity;
    att_status status;
} att_buffer;

void att_buffer_add(att_buffer *b, const void *data, size_t bytes);
void att_buffer_text(att_buffer *b, const char *s);
void att_buffer_format(att_buffer *b, const char *fmt, ...) ATT_PRINTF(2, 3); /* no floats: see att_buffer_number */
/* %.{digits}g with a point whatever the locale. */
void att_buffer_number(att_buffer *b, double x, int digits);
/* With < > & " ' as entities: for XML and HTML, in text and in attributes. */
void att_buffer_xml(att_buffer *b, const char *s);
/* A JSON string in quotes that is also safe inside <script>. */
void att_buffer_json(att_buffer *b, const char *s);
/* The whole of it to a file; a file that could not be completed is removed. */
att_status att_buffer_save(const att_buffer *b, const char *path);
void att_buffer_free(att_buffer *b);

/* A new file for text in parts. att_file_close reports `so_far`, or what closing found; after a failure the file is
 * removed (devices and pipes stay). */
att_status att_file_create(const char *path, FILE **out);
att_status att_file_close(FILE *f, const char *path, att_status so_far);

/* snprintf of %.{digits}g with a point whatever the locale. */
void att_print_number(char *out, size_t bytes, double x, int digits);

#endif
