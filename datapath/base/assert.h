// Assertions for faults of the program (never of a peer or the environment).
//
// SPILLWAY_ASSERT is always on; SPILLWAY_DCHECK only where SPILLWAY_CHECKS is
// set (dev, sanitizers, simulator) and may stand on the packet path.
#pragma once

namespace spillway {

// Prints file, line and condition on stderr with async-signal-safe calls, then
// aborts. Any thread.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

}  // namespace spillway

#define SPILLWAY_ASSERT(cond)                                 \
  do {                                                        \
    if (!(cond)) [[unlikely]]                                 \
      ::spillway::assert_failed(#cond, __FILE__, __LINE__);   \
  } while (0)

#ifdef SPILLWAY_CHECKS
#define SPILLWAY_DCHECK(cond) SPILLWAY_ASSERT(cond)
#else
#define SPILLWAY_DCHECK(cond) \
  do {                        \
    if (false) {              \
      (void)(cond);           \
    }                         \
  } while (0)
#endif
