// What only real sockets show: wake-ups, full socket buffers, refused GSO, the
// choice of the back end, sharing of a port, the restrictions of the ring.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <set>
#include <thread>

#include "datapath/io/udp_sender.h"
#include "datapath/io/uring/ring.h"
#include "tests/unit/io/io_rig.h"

namespace spillway::test {
namespace {

using Clock = std::chrono::steady_clock;

class BackendsTest : public testing::TestWithParam<const char*> {
 protected:
  IoBackend backend() const {
    return GetParam() == std::string("uring") ? IoBackend::uring : IoBackend::mmsg;
  }
};
INSTANTIATE_TEST_SUITE_P(Sockets, BackendsTest, testing::Values("uring", "mmsg"),
                         [](const auto& p) { return std::string(p.param); });

// Runs body in a fresh network namespace; false = not permitted here, or without
// the ip command. The namespace belongs to the thread and dies with its sockets.
bool in_namespace(const char* setup, const std::function<void()>& body) {
  bool done = false;
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    const int status = std::system(setup);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return;
    done = true;
    EXPECT_EQ(status, 0) << setup;
    if (status == 0) body();
  });
  thread.join();
  return done;
}

// Aim: sent = accepted + dropped, datagram by datagram, with a destination the
// kernel refuses (broadcast without permission) amid good ones.
TEST_P(BackendsTest, RefusedDestinationIsCountedAlone) {
  SocketRig rig(backend());
  auto peer = rig.peer(true);
  const Endpoint broadcast{IpAddress::v4(255, 255, 255, 255), 9, 0};
  TxBatch batch;
  for (uint32_t i = 0; i < 70; ++i) {
    put(batch, {peer->endpoint(), rig.v4()}, pattern(100, i));
    for (uint32_t k = 0; k < 5; ++k) put(batch, {broadcast, rig.v4()}, pattern(100, k));
  }
  rig.io().tx_burst(batch);
  for (uint32_t i = 0; i < 70; ++i) {
    auto got = peer->receive();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->payload, pattern(100, i));
  }
  EXPECT_EQ(rig.io().stats().tx_datagrams, 70u);
  EXPECT_EQ(rig.io().stats().tx_dropped_error, 350u);
}

// Aim: a family without a socket is an error of the datagram, not of the batch.
TEST_P(BackendsTest, MissingFamilyIsCounted) {
  MediaSocketOptions options;
  options.v6.reset();
  auto sockets = open_media_sockets(options);
  ASSERT_TRUE(sockets);
  auto io = make_packet_io({backend(), sockets->workers[0].fds()});
  ASSERT_TRUE(io);
  SocketPeer peer(IpAddress::v4(127, 0, 0, 1));
  TxBatch batch;
  put(batch, {{*IpAddress::parse("::1"), 9, 0}, {}}, pattern(10, 1));
  put(batch, {peer.endpoint(), {}}, pattern(10, 2));  // the kernel chooses the source
  io->io->tx_burst(batch);
  EXPECT_EQ(io->io->stats().tx_dropped_error, 1u);
  EXPECT_EQ(peer.receive(kDeadlineMs)->payload, pattern(10, 2));
}

// Aim: a wake that comes before the wait ends the wait; it is consumed by it.
TEST_P(BackendsTest, WakeBeforeWaitIsKept) {
  SocketRig rig(backend());
  RxPacket burst[kBurst];
  rig.io().rx_burst(burst, Nanos{});
  rig.io().wake();
  auto begin = Clock::now();
  EXPECT_EQ(rig.io().rx_burst(burst, seconds(30)), 0u);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
  begin = Clock::now();
  rig.io().rx_burst(burst, millis(30));  // may end early once: a late eventfd
  rig.io().rx_burst(burst, millis(30));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(29));
}

// Aim: no wake-up is lost: a ping-pong in which every lost wake costs 30 s.
TEST_P(BackendsTest, NoWakeIsLost) {
  SocketRig rig(backend());
  constexpr uint32_t kRounds = 3000;
  std::atomic<uint32_t> asked{0};
  std::atomic<uint32_t> answered{0};
  std::thread waker([&] {
    for (uint32_t i = 1; i <= kRounds; ++i) {
      asked.store(i, std::memory_order_release);  // pairs with the acquire below
      rig.io().wake();
      // Varying pauses: the wake meets the owner before, in and after its wait.
      while (answered.load(std::memory_order_acquire) < i) {
        if (i % 3 == 0) std::this_thread::yield();
      }
    }
  });
  RxPacket burst[kBurst];
  const auto begin = Clock::now();
  uint32_t seen = 0;
  while (seen < kRounds) {
    seen = asked.load(std::memory_order_acquire);
    answered.store(seen, std::memory_order_release);
    if (seen < kRounds) rig.io().rx_burst(burst, seconds(30));
  }
  waker.join();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(25));
}

// Aim: wakes do not disturb packets: both flow, none lost, and waking an owner
// that is awake costs no system call.
TEST_P(BackendsTest, WakesAmidPackets) {
  SocketRig rig(backend());
  std::atomic<bool> stop{false};
  std::thread waker([&] {
    while (!stop.load(std::memory_order_relaxed)) rig.io().wake();
  });
  auto peer = rig.peer(true);
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    peer->send(rig.v4(), pattern(64, i));
    auto got = rig.rx_all(1);
    wrong += got.size() != 1 || got[0].payload != pattern(64, i);
  }
  stop.store(true, std::memory_order_relaxed);
  waker.join();
  EXPECT_EQ(wrong, 0u);
}

// Aim: polling an idle uring costs no system call (the worker may spin on it).
TEST(UringIo, IdlePollMakesNoSystemCall) {
  SocketRig rig(IoBackend::uring);
  RxPacket burst[kBurst];
  rig.io().rx_burst(burst, Nanos{});
  const uint64_t before = rig.io().stats().syscalls;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(rig.io().rx_burst(burst, Nanos{}), 0u);
  EXPECT_EQ(rig.io().stats().syscalls, before);
  // And yet it sees what arrives.
  rig.peer(true)->send(rig.v4(), pattern(5, 5));
  uint32_t n = 0;
  const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
  while (n == 0 && Clock::now() < deadline) n = rig.io().rx_burst(burst, Nanos{});
  EXPECT_EQ(n, 1u);
  rig.io().release({burst, n});
}

// Aim: a full socket buffer drops and counts, never blocks, leaves nothing
// behind in the kernel, and sending works again afterwards. The buffer is filled
// by packets that wait for an ARP answer that never comes.
TEST_P(BackendsTest, SocketBufferFull) {
  const bool ran = in_namespace(
      "ip link set lo up && ip link add veth1 type veth peer name veth2 &&"
      " ip link set veth1 up && ip link set veth2 up && ip address add 10.9.0.1/24 dev veth1",
      [&] {
        MediaSocketOptions options;
        options.sndbuf_bytes = 8 * 1024;
        auto sockets = open_media_sockets(options);
        ASSERT_TRUE(sockets);
        auto made = make_packet_io({backend(), sockets->workers[0].fds()});
        ASSERT_TRUE(made);
        PacketIo& io = *made->io;
        SocketPeer peer(IpAddress::v4(127, 0, 0, 1));
        TxBatch batch;
        const Path nowhere{{IpAddress::v4(10, 9, 0, 2), 9, 0}, {}};
        const auto begin = Clock::now();
        for (uint32_t i = 0; i < 300; ++i) put(batch, nowhere, pattern(500 + i, i));
        io.tx_burst(batch);
        EXPECT_LT(Clock::now() - begin, std::chrono::seconds(2));  // ARP gives up after 3 s
        const auto& s = io.stats();
        EXPECT_GT(s.tx_dropped_full, 200u);
        EXPECT_GT(s.tx_datagrams, 0u);
        EXPECT_EQ(s.tx_datagrams + s.tx_dropped_full + s.tx_dropped_error, 300u);
        // Nothing of the dropped ones is sent later from memory that changed:
        // the next messages go through the same slots, to somebody else.
        const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
        std::optional<Datagram> got;
        while (!got && Clock::now() < deadline) {
          put(batch, {peer.endpoint(), {}}, pattern(40, 7));
          io.tx_burst(batch);
          got = peer.receive(50);
        }
        ASSERT_TRUE(got);
        EXPECT_EQ(got->payload, pattern(40, 7));
        RxPacket burst[kBurst];
        EXPECT_EQ(io.rx_burst(burst, millis(1)), 0u);
      });
  if (!ran) GTEST_SKIP() << "needs the right to make a network namespace";
}

// Aim: where UDP_SEGMENT is refused but single datagrams are not (here: no UDP
// checksum), every segment still arrives, and after repeats GSO stays off.
TEST_P(BackendsTest, RefusedGsoFallsBackToSingles) {
  SocketRig rig(backend());
  auto peer = rig.peer(true);
  TxBatch batch;
  auto send_run = [&](uint32_t seed) {
    for (uint32_t i = 0; i < 5; ++i)
      put(batch, {peer->endpoint(), rig.v4()}, pattern(i < 4 ? 300 : 20, seed + i));
    rig.io().tx_burst(batch);
    for (uint32_t i = 0; i < 5; ++i) {
      auto got = peer->receive();
      ASSERT_TRUE(got);
      ASSERT_EQ(got->payload, pattern(i < 4 ? 300 : 20, seed + i));
    }
  };
  auto refuse_gso = [&](int refuse) {
    ASSERT_EQ(::setsockopt(rig.fds().v4, SOL_SOCKET, SO_NO_CHECK, &refuse, sizeof refuse), 0);
  };
  const uint32_t faults = UdpSender::kGsoFaultsMax;
  const auto& s = rig.io().stats();
  // One good run after almost too many refusals starts the count anew, so that
  // the good run of the second round still goes as one message.
  for (uint32_t round = 1; round <= 2; ++round) {
    refuse_gso(1);
    for (uint32_t i = 0; i < faults - 1; ++i) ASSERT_NO_FATAL_FAILURE(send_run(i));
    refuse_gso(0);
    ASSERT_NO_FATAL_FAILURE(send_run(50));
    EXPECT_EQ(s.gso_fallbacks, round * (faults - 1));
    EXPECT_EQ(s.tx_messages, round * (5 * (faults - 1) + 1));
  }
  refuse_gso(1);
  for (uint32_t i = 0; i < faults; ++i) ASSERT_NO_FATAL_FAILURE(send_run(i));
  // Off for good now, even when it would work.
  refuse_gso(0);
  const uint64_t messages = s.tx_messages;
  ASSERT_NO_FATAL_FAILURE(send_run(90));
  EXPECT_EQ(s.tx_messages, messages + 5);
  EXPECT_EQ(s.gso_fallbacks, 2 * (faults - 1) + faults + 1);
  EXPECT_EQ(s.tx_dropped_error + s.tx_dropped_full, 0u);
}

// Aim: segments larger than the interface's MTU are the destination's fault:
// dropped and counted, and GSO stays on for the others.
TEST_P(BackendsTest, TooLargeForTheInterfaceKeepsGso) {
  const bool ran = in_namespace("ip link set lo mtu 1280 up", [&] {
    SocketRig rig(backend());
    auto peer = rig.peer(true);
    TxBatch batch;
    const Path path{peer->endpoint(), rig.v4()};
    for (uint32_t round = 0; round < 2 * UdpSender::kGsoFaultsMax; ++round) {
      for (uint32_t i = 0; i < 4; ++i) put(batch, path, pattern(1400, i));
      rig.io().tx_burst(batch);
    }
    const auto& s = rig.io().stats();
    EXPECT_EQ(s.tx_dropped_error, 8 * UdpSender::kGsoFaultsMax);
    EXPECT_EQ(s.tx_datagrams, 0u);
    for (uint32_t i = 0; i < 4; ++i) put(batch, path, pattern(1200, i));
    rig.io().tx_burst(batch);
    EXPECT_EQ(s.tx_messages, 1u);
    EXPECT_EQ(s.tx_datagrams, 4u);
    EXPECT_EQ(s.gso_fallbacks, 0u);
  });
  if (!ran) GTEST_SKIP() << "needs the right to make a network namespace";
}

// Aim: two workers on one port: each flow stays with one worker, all arrive, and
// both get some.
TEST_P(BackendsTest, TwoWorkersShareThePort) {
  MediaSocketOptions options;
  options.workers = 2;
  auto sockets = open_media_sockets(options);
  ASSERT_TRUE(sockets);
  std::unique_ptr<PacketIo> io[2];
  for (size_t w = 0; w < 2; ++w) {
    auto made = make_packet_io({backend(), sockets->workers[w].fds()});
    ASSERT_TRUE(made);
    io[w] = std::move(made->io);
  }
  const Endpoint server{IpAddress::v4(127, 0, 0, 1), sockets->port, 0};
  std::vector<std::unique_ptr<SocketPeer>> peers;
  for (int i = 0; i < 64; ++i)
    peers.push_back(std::make_unique<SocketPeer>(IpAddress::v4(127, 0, 0, 1)));
  for (uint32_t turn = 0; turn < 5; ++turn)
    for (auto& p : peers) p->send(server, pattern(40, turn));
  std::set<uint16_t> flows[2];
  uint32_t total = 0;
  const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
  while (total < 320 && Clock::now() < deadline)
    for (size_t w = 0; w < 2; ++w) {
      RxPacket burst[kBurst];
      uint32_t n = io[w]->rx_burst(burst, millis(1));
      for (uint32_t i = 0; i < n; ++i) flows[w].insert(burst[i].path.remote.port);
      io[w]->release({burst, n});
      total += n;
    }
  EXPECT_EQ(total, 320u);
  EXPECT_FALSE(flows[0].empty());
  EXPECT_FALSE(flows[1].empty());
  EXPECT_EQ(flows[0].size() + flows[1].size(), 64u);  // no flow at both
}

// Aim: the object may be made in one thread and used in another.
TEST_P(BackendsTest, MadeInOneThreadUsedInAnother) {
  SocketRig rig(backend());
  auto peer = rig.peer(true);
  peer->send(rig.v4(), pattern(33, 1));
  std::thread worker([&] {
    auto got = rig.rx_all(1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].payload, pattern(33, 1));
  });
  worker.join();
}

// Aim: the sockets outlive their user: what arrives while no datapath runs is
// found by the next one.
TEST_P(BackendsTest, RestartFindsQueuedPackets) {
  auto sockets = open_media_sockets({});
  ASSERT_TRUE(sockets);
  const Endpoint server{IpAddress::v4(127, 0, 0, 1), sockets->port, 0};
  SocketPeer peer(IpAddress::v4(127, 0, 0, 1));
  RxPacket burst[kBurst];
  for (uint32_t life = 0; life < 5; ++life) {
    for (uint32_t i = 0; i < 10; ++i) peer.send(server, pattern(50, i));
    auto made = make_packet_io({backend(), sockets->workers[0].fds()});
    ASSERT_TRUE(made);
    uint32_t got = 0;
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (got < 10 && Clock::now() < deadline) {
      uint32_t n = made->io->rx_burst(burst, millis(20));
      made->io->release({burst, n});
      got += n;
    }
    EXPECT_EQ(got, 10u) << "life " << life;
  }
}

// Refuses io_uring_setup in this process from now on.
bool forbid_io_uring(int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// In a child with io_uring_setup failing: 0 = all as it should be, else the step.
int check_fallback(int error) {
  if (!forbid_io_uring(error)) return 1;
  auto sockets = open_media_sockets({});
  if (!sockets) return 2;
  const MediaFds fds = sockets->workers[0].fds();
  auto forced = make_packet_io({IoBackend::uring, fds});
  if (forced || forced.error().code != error) return 3;
  auto chosen = make_packet_io({IoBackend::automatic, fds});
  if (!chosen || chosen->io->name() != "mmsg") return 4;
  if (chosen->note.find("io_uring") == std::string::npos) return 5;
  SocketPeer peer(IpAddress::v4(127, 0, 0, 1));
  peer.send({IpAddress::v4(127, 0, 0, 1), sockets->port, 0}, pattern(20, 1));
  RxPacket burst[kBurst];
  return chosen->io->rx_burst(burst, seconds(10)) == 1 ? 0 : 6;
}

// Aim: a sandbox without io_uring gets mmsg, a working port, and a sentence why.
TEST(MakePacketIo, FallsBackWhereIoUringIsRefused) {
  for (int error : {EPERM, ENOSYS}) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(check_fallback(error));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "failed step, errno " << error;
  }
}

// Aim: with io_uring allowed it is chosen, silently.
TEST(MakePacketIo, PrefersUring) {
  auto sockets = open_media_sockets({});
  ASSERT_TRUE(sockets);
  auto made = make_packet_io({IoBackend::automatic, sockets->workers[0].fds()});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->io->name(), "uring");
  EXPECT_EQ(made->note, "");
}

// Aim: descriptors that are no media sockets are refused with a reason.
TEST(MakePacketIo, RefusesWrongDescriptors) {
  auto a = open_media_sockets({});
  auto b = open_media_sockets({});
  ASSERT_TRUE(a && b);
  const MediaFds fa = a->workers[0].fds(), fb = b->workers[0].fds();
  EXPECT_FALSE(make_packet_io({IoBackend::mmsg, {}}));
  EXPECT_FALSE(make_packet_io({IoBackend::mmsg, {fa.v6, -1}}));
  EXPECT_FALSE(make_packet_io({IoBackend::mmsg, {fa.v4, fb.v6}}));  // two ports
  EXPECT_FALSE(make_packet_io({IoBackend::mmsg, fa, 100}));         // no power of two
  EXPECT_FALSE(make_packet_io({IoBackend::mmsg, fa, 8192}));
}

// Aim: whoever takes over the process cannot use the ring as a way round the
// system call filter (threats A-42).
TEST(Ring, DoesNothingButMessagesOnItsOwnSockets) {
  auto sockets = open_media_sockets({});
  ASSERT_TRUE(sockets);
  const int files[] = {sockets->workers[0].v4.get()};
  Ring ring;
  ASSERT_TRUE(ring.open(files, 8, 16, 8));
  ASSERT_TRUE(ring.enable());
  auto result_of = [&](auto prepare) {
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    prepare(sqe);
    io_uring_submit_and_get_events(ring.get());
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(ring.get(), &cqe) != 0) return 1;
    const int res = cqe->res;
    io_uring_cqe_seen(ring.get(), cqe);
    return res;
  };
  int outside = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  char byte = 0;
  msghdr message{};
  EXPECT_EQ(result_of([](io_uring_sqe* s) { io_uring_prep_nop(s); }), -EACCES);
  EXPECT_EQ(result_of([](io_uring_sqe* s) {
              io_uring_prep_openat(s, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
            }),
            -EACCES);
  EXPECT_EQ(result_of([&](io_uring_sqe* s) {
              io_uring_prep_write(s, 0, &byte, 1, 0);
              s->flags = IOSQE_FIXED_FILE;
            }),
            -EACCES);
  // An allowed request on a descriptor that was not registered.
  EXPECT_EQ(result_of([&](io_uring_sqe* s) { io_uring_prep_read(s, outside, &byte, 1, 0); }),
            -EACCES);
  EXPECT_EQ(result_of([&](io_uring_sqe* s) { io_uring_prep_sendmsg(s, outside, &message, 0); }),
            -EACCES);
  EXPECT_EQ(io_uring_register_files(ring.get(), &outside, 1), -EACCES);
  ::close(outside);
}

// Aim: requests the kernel did not take can be taken back, oldest first.
TEST(Ring, TakesBackUnsubmittedRequests) {
  auto sockets = open_media_sockets({});
  ASSERT_TRUE(sockets);
  const int files[] = {sockets->workers[0].v4.get()};
  Ring ring;
  ASSERT_TRUE(ring.open(files, 8, 16, 8));
  ASSERT_TRUE(ring.enable());
  for (uint64_t round = 0; round < 5; ++round) {  // 15 requests: round the queue of 8
    for (uint64_t i = 0; i < 3; ++i) io_uring_get_sqe(ring.get())->user_data = 10 * round + i;
    uint64_t user_data = 0;
    for (uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(ring.take_unsubmitted(user_data));
      EXPECT_EQ(user_data, 10 * round + i);
    }
    EXPECT_FALSE(ring.take_unsubmitted(user_data));
    EXPECT_EQ(io_uring_sq_ready(ring.get()), 0u);
    // A submit now hands over nothing, and a new request is the only one.
    io_uring_prep_nop(io_uring_get_sqe(ring.get()));
    EXPECT_EQ(io_uring_submit_and_get_events(ring.get()), 1);
    io_uring_cqe* cqe = nullptr;
    ASSERT_EQ(io_uring_peek_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->res, -EACCES);
    io_uring_cqe_seen(ring.get(), cqe);
  }
}

}  // namespace
}  // namespace spillway::test
