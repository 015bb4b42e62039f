// Defaults of TensorFlow's own settings, which the environment overrides; they hold wherever tfjs-node's binding
// is loaded, and nowhere else.
//
// A library of its own, loaded with the binding and initialised before all others (-z initfirst): TensorFlow
// reads these settings in its static initialisers. Knows only the version of TensorFlow that the setup pins.
#include <cstdlib>

// absl's threshold of logging, under the name that it has in that version; null in another one.
extern "C" void _ZN4absl12lts_2025081412log_internal17RawSetMinLogLevelENS0_18LogSeverityAtLeastE(
    int severity) __attribute__((weak));

namespace {
constexpr int kWarning = 1;

__attribute__((constructor)) void SetTensorflowDefaults() {
  // With oneDNN TensorFlow keeps freed tensors in a pool. It turns that on by itself only for processors with
  // AVX-512 or VNNI; elsewhere glibc maps every large tensor anew, and a step spends much of its time in page
  // faults (docs/experiments.md, 2026-11-25).
#if defined(__x86_64__)
  setenv("TF_ENABLE_ONEDNN_OPTS", "1", 0);
#endif
  // No greetings on stderr; warnings remain.
  if (getenv("TF_CPP_MIN_LOG_LEVEL") != nullptr) return;
  setenv("TF_CPP_MIN_LOG_LEVEL", "1", 0);
  auto* const set_min_log_level =
      _ZN4absl12lts_2025081412log_internal17RawSetMinLogLevelENS0_18LogSeverityAtLeastE;
  if (set_min_log_level != nullptr) set_min_log_level(kWarning);
}
}  // namespace
