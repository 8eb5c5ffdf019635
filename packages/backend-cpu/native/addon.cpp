// The native device as a Node-API module: memory, a pool of threads, and nothing that knows a program's meaning. Addresses are
// numbers; the TypeScript side checks every range before it comes here.
#define NAPI_VERSION 8
#include <node_api.h>
#include <string.h>

#include "cpuid.h"
#include "memory.h"
#include "pool.h"
#include "thread.h"

// A pool with its threads; the leader reports finished jobs through `done`.
struct Native {
  Pool pool;
  napi_threadsafe_function done;
  Thread threads[256];
  int32_t started;
  bool stopped;
};
struct Helper { Native *native; int32_t me; };

static void *leader_main(void *arg) {
  Native *n = (Native *)arg;
  while (Job *job = serve(n->pool)) napi_call_threadsafe_function(n->done, job, napi_tsfn_blocking);
  return nullptr;
}
static void *helper_main(void *arg) {
  Helper h = *(Helper *)arg;
  free(arg);
  help(h.native->pool, h.me);
  return nullptr;
}
static void stop_threads(Native *n) {
  if (n->stopped) return;
  n->stopped = true;
  stop(n->pool);
  for (int32_t i = 0; i < n->started; i++) thread_join(n->threads[i]);
}
static void cleanup(void *arg) { // the environment ends without close(): every job still queued is cut short
  Native *n = (Native *)arg;
  for (uint32_t i = n->pool.head; i != n->pool.tail; i++)
    if (Job *job = n->pool.queue[i % queueSize]) STORE(&job->abort, 1u);
  if (Job *job = LOAD(&n->pool.running)) STORE(&job->abort, 1u);
  stop_threads(n);
}

// ---- values

struct Args {
  napi_env env;
  napi_value v[6];
  Args(napi_env e, napi_callback_info info) : env(e) { size_t n = 6; napi_get_cb_info(e, info, &n, v, nullptr, nullptr); }
  double number(int i) const { double d = 0; napi_get_value_double(env, v[i], &d); return d; }
  template <class T> T *pointer(int i) const { return address<T>(number(i)); }
  uint8_t *bytes(int i, size_t &length) const {
    napi_typedarray_type type; napi_value buffer; size_t offset; void *data = nullptr;
    length = 0;
    napi_get_typedarray_info(env, v[i], &type, &length, &data, &buffer, &offset);
    return type == napi_uint8_array ? (uint8_t *)data : nullptr;
  }
};
static napi_value number(napi_env env, double d) { napi_value v; napi_create_double(env, d, &v); return v; }
static napi_value number(napi_env env, const void *p) { return number(env, (double)(uintptr_t)p); }
static napi_value text(napi_env env, const char *s) { napi_value v; napi_create_string_utf8(env, s, NAPI_AUTO_LENGTH, &v); return v; }

// ---- functions

// isas(): [{ name, built, supported, kernels: [name] }], best first
static napi_value isas(napi_env env, napi_callback_info) {
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (auto &isa : instructionSets) {
    napi_value o, names, flag;
    napi_create_object(env, &o);
    napi_set_named_property(env, o, "name", text(env, isa.name));
    napi_get_boolean(env, isa.kernels != nullptr, &flag);
    napi_set_named_property(env, o, "built", flag);
    napi_get_boolean(env, isa.supported(), &flag);
    napi_set_named_property(env, o, "supported", flag);
    napi_create_array(env, &names);
    if (isa.kernels)
      for (int32_t i = 0; const Kernel *k = isa.kernels(i); i++) napi_set_element(env, names, (uint32_t)i, text(env, k->name));
    napi_set_named_property(env, o, "kernels", names);
    napi_set_element(env, list, count++, o);
  }
  return list;
}
static void report(napi_env env, napi_value callback, void *, void *data) {
  if (!env) return;
  Job *job = (Job *)data;
  napi_value args[2] = {number(env, job), number(env, job->status)}, self;
  napi_get_undefined(env, &self);
  napi_call_function(env, self, callback, 2, args, nullptr);
}
// open(index of the instruction set, threads, done(job, status)): pool
static napi_value open_pool(napi_env env, napi_callback_info info) {
  Args a(env, info);
  Native *n = (Native *)memory_alloc(sizeof(Native));
  if (!n) return nullptr;
  n->pool.kernels = instructionSets[(int)a.number(0)].kernels;
  n->pool.now = now;
  int32_t wanted = (int32_t)a.number(1);
  wanted = wanted < 1 ? 1 : wanted > 256 ? 256 : wanted;
  napi_create_threadsafe_function(env, a.v[2], nullptr, text(env, "attune"), 0, 1, nullptr, nullptr, nullptr, report, &n->done);
  napi_unref_threadsafe_function(env, n->done);
  int32_t helpers = 0;
  for (int32_t i = 1; i < wanted; i++) {
    Helper *h = (Helper *)malloc(sizeof(Helper));
    *h = {n, i};
    if (!thread_start(n->threads[n->started], helper_main, h)) { free(h); break; }
    n->started++;
    helpers++;
  }
  n->pool.threads = helpers + 1;
  if (!thread_start(n->threads[n->started], leader_main, n)) {
    stop_threads(n);
    napi_throw_error(env, nullptr, "no thread could be started");
    return nullptr;
  }
  n->started++;
  napi_add_env_cleanup_hook(env, cleanup, n);
  return number(env, n);
}
static napi_value threads(napi_env env, napi_callback_info info) { return number(env, Args(env, info).pointer<Native>(0)->pool.threads); }
static napi_value close_pool(napi_env env, napi_callback_info info) {
  Native *n = Args(env, info).pointer<Native>(0);
  napi_remove_env_cleanup_hook(env, cleanup, n);
  stop_threads(n);
  napi_release_threadsafe_function(n->done, napi_tsfn_release);
  memory_free(n, sizeof(Native));
  return nullptr;
}
// hold(pool, on): whether the process stays alive for the pool's sake
static napi_value hold(napi_env env, napi_callback_info info) {
  Args a(env, info);
  Native *n = a.pointer<Native>(0);
  if (a.number(1) != 0) napi_ref_threadsafe_function(env, n->done);
  else napi_unref_threadsafe_function(env, n->done);
  return nullptr;
}
static napi_value submit_job(napi_env env, napi_callback_info info) {
  Args a(env, info);
  submit(a.pointer<Native>(0)->pool, a.pointer<Job>(1));
  return nullptr;
}
static napi_value abort_job(napi_env env, napi_callback_info info) {
  STORE(&Args(env, info).pointer<Job>(0)->abort, 1u);
  return nullptr;
}
static napi_value alloc(napi_env env, napi_callback_info info) { return number(env, memory_alloc((size_t)Args(env, info).number(0))); }
static napi_value release(napi_env env, napi_callback_info info) {
  Args a(env, info);
  memory_free(a.pointer<void>(0), (size_t)a.number(1));
  return nullptr;
}
static napi_value copy_in(napi_env env, napi_callback_info info) {
  Args a(env, info);
  size_t length;
  if (uint8_t *from = a.bytes(1, length)) memcpy(a.pointer<void>(0), from, length);
  return nullptr;
}
static napi_value copy_out(napi_env env, napi_callback_info info) {
  Args a(env, info);
  size_t length;
  if (uint8_t *to = a.bytes(1, length)) memcpy(to, a.pointer<void>(0), length);
  return nullptr;
}
static napi_value zero(napi_env env, napi_callback_info info) {
  Args a(env, info);
  memset(a.pointer<void>(0), 0, (size_t)a.number(1));
  return nullptr;
}
// map(path, offset, bytes): [data, base, mapped]
static napi_value map_file(napi_env env, napi_callback_info info) {
  Args a(env, info);
  size_t length = 0;
  napi_get_value_string_utf8(env, a.v[0], nullptr, 0, &length);
  char *path = (char *)malloc(length + 1);
  napi_get_value_string_utf8(env, a.v[0], path, length + 1, &length);
  Mapping m = {};
  const char *error = nullptr;
  bool ok = memory_map(path, (size_t)a.number(1), (size_t)a.number(2), m, error);
  free(path);
  if (ok && !memory_watch(m.base, m.mapped)) {
    memory_unmap(m.base, m.mapped);
    ok = false, error = "is one mapping too many";
  }
  if (!ok) { napi_throw_error(env, nullptr, error); return nullptr; }
  napi_value list;
  napi_create_array_with_length(env, 3, &list);
  napi_set_element(env, list, 0, number(env, m.data));
  napi_set_element(env, list, 1, number(env, m.base));
  napi_set_element(env, list, 2, number(env, (double)m.mapped));
  return list;
}
static napi_value unmap_file(napi_env env, napi_callback_info info) {
  Args a(env, info);
  memory_unwatch(a.pointer<void>(0));
  memory_unmap(a.pointer<void>(0), (size_t)a.number(1));
  return nullptr;
}
// lost(base): whether the file of a mapping became shorter and what it lost was touched
static napi_value lost_file(napi_env env, napi_callback_info info) {
  napi_value v;
  napi_get_boolean(env, memory_lost(Args(env, info).pointer<void>(0)), &v);
  return v;
}

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  const struct { const char *name; napi_callback call; } functions[] = {
    {"isas", isas}, {"open", open_pool}, {"close", close_pool}, {"threads", threads}, {"hold", hold}, {"submit", submit_job},
    {"abort", abort_job}, {"alloc", alloc}, {"free", release}, {"copyIn", copy_in}, {"copyOut", copy_out}, {"zero", zero}, {"map", map_file},
    {"unmap", unmap_file}, {"lost", lost_file},
  };
  for (auto &f : functions) {
    napi_value v;
    napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.call, nullptr, &v);
    napi_set_named_property(env, exports, f.name, v);
  }
  return exports;
}
