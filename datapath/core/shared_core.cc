#include "datapath/core/shared_core.h"

#include <new>

namespace spillway {

SharedCore::SharedCore(uint32_t worker_count, uint32_t video_rings, uint32_t audio_rings)
    : workers(worker_count),
      rings(video_rings, audio_rings),
      session_memory(uint64_t{kMaxSessions} * sizeof(Session)),
      publisher_memory(uint64_t{kMaxSessions} * sizeof(PublisherSide)),
      inboxes(new Inbox[worker_count * worker_count]) {}

}  // namespace spillway
