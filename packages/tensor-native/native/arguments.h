/*
 * Reads and checks what JavaScript hands to an operation. Every array must have exactly the length
 * that the operation's dimensions ask for and every index must lie in its table, so that no call
 * can reach memory that is not its own; a wrong argument throws a RangeError that says what was got
 * and what was wanted.
 */
#ifndef NESTREC_ARGUMENTS_H
#define NESTREC_ARGUMENTS_H

#include <node_api.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernels.h"

#define MOST_ARGUMENTS 16

typedef struct {
  napi_env env;
  const char *operation;
  napi_value values[MOST_ARGUMENTS];
  size_t count;
  int failed; /* an error is pending: nothing may be computed */
} arguments;

static void fail(arguments *a, const char *format, ...) {
  if (a->failed) return;
  char text[256], message[320];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof(text), format, list);
  va_end(list);
  snprintf(message, sizeof(message), "%s: %s", a->operation, text);
  a->failed = 1;
  napi_throw_range_error(a->env, "ERR_OUT_OF_RANGE", message);
}

static arguments read_arguments(napi_env env, napi_callback_info info, const char *operation,
                                size_t wanted) {
  arguments a = {.env = env, .operation = operation, .count = MOST_ARGUMENTS};
  if (napi_get_cb_info(env, info, &a.count, a.values, NULL, NULL) != napi_ok || a.count != wanted)
    fail(&a, "got %zu arguments; wanted %zu.", a.count, wanted);
  return a;
}

static int is_null(arguments *a, int i) {
  napi_valuetype type = napi_undefined;
  if (a->failed) return 1;
  napi_typeof(a->env, a->values[i], &type);
  return type == napi_null;
}

/* An array of one type and `length` numbers; any length where it is negative, which *found then
 * holds. */
static void *array_of(arguments *a, int i, const char *name, napi_typedarray_type wanted,
                      const char *kind, long length, long *found) {
  bool is_array = false;
  napi_typedarray_type type;
  size_t count = 0;
  void *data = NULL;
  if (a->failed) return NULL;
  if (napi_is_typedarray(a->env, a->values[i], &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(a->env, a->values[i], &type, &count, &data, NULL, NULL) != napi_ok ||
      type != wanted) {
    fail(a, "%s is no %s.", name, kind);
    return NULL;
  }
  if (length >= 0 && (long)count != length)
    fail(a, "%s has %zu numbers; wanted %ld.", name, count, length);
  if (found) *found = (long)count;
  return a->failed ? NULL : data;
}

static float *floats(arguments *a, int i, const char *name, long length) {
  return array_of(a, i, name, napi_float32_array, "Float32Array", length, NULL);
}
static float *floats_or_null(arguments *a, int i, const char *name, long length) {
  return is_null(a, i) ? NULL : floats(a, i, name, length);
}
static float *any_floats(arguments *a, int i, const char *name, long *length) {
  return array_of(a, i, name, napi_float32_array, "Float32Array", -1, length);
}
static double *doubles(arguments *a, int i, const char *name, long length) {
  return array_of(a, i, name, napi_float64_array, "Float64Array", length, NULL);
}
static uint8_t *bytes(arguments *a, int i, const char *name, long *length) {
  return array_of(a, i, name, napi_uint8_array, "Uint8Array", -1, length);
}

/* Whole numbers from `least` to `most`. */
static int32_t *indices(arguments *a, int i, const char *name, long least, long most,
                        long *length) {
  int32_t *data = array_of(a, i, name, napi_int32_array, "Int32Array", -1, length);
  for (long at = 0; data && at < *length; at++)
    if (data[at] < least || data[at] > most) {
      fail(a, "%s[%ld] is %d; wanted %ld to %ld.", name, at, data[at], least, most);
      return NULL;
    }
  return data;
}

static double number(arguments *a, int i, const char *name) {
  double value = 0;
  if (!a->failed && napi_get_value_double(a->env, a->values[i], &value) != napi_ok)
    fail(a, "%s is no number.", name);
  return value;
}
static long whole(arguments *a, int i, const char *name, long least, long most) {
  double value = number(a, i, name);
  if (!a->failed &&
      !(value >= (double)least && value <= (double)most && value == (double)(long)value))
    fail(a, "%s is %g; wanted a whole number from %ld to %ld.", name, value, least, most);
  return a->failed ? least : (long)value;
}

/* The nested sizes: ascending, at least one; *width is the last of them. */
static const int32_t *ladder(arguments *a, int i, int *sizes, long *width) {
  long count = 0;
  const int32_t *ends = indices(a, i, "sizes", 1, 65536, &count);
  *sizes = 1, *width = 1;
  if (!ends) return NULL;
  if (count < 1 || count > MOST_SIZES) fail(a, "got %ld sizes; wanted 1 to %d.", count, MOST_SIZES);
  for (long k = 1; k < count && !a->failed; k++)
    if (ends[k] <= ends[k - 1])
      fail(a, "sizes[%ld] is %d after %d; wanted them ascending.", k, ends[k], ends[k - 1]);
  if (a->failed) return NULL;
  *sizes = (int)count;
  *width = ends[count - 1];
  return ends;
}

/* Rows of `length` numbers in rows of `width`. */
static long rows_of(arguments *a, const char *name, long length, long width) {
  if (!a->failed && length % width != 0)
    fail(a, "%s has %ld numbers; wanted rows of %ld.", name, length, width);
  return a->failed ? 0 : length / width;
}

#endif
