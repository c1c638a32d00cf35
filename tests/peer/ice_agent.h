// A full, controlling ICE agent for one component and one local socket (RFC 8445),
// with regular nomination and consent (RFC 7675). Sans-IO.
//
//   gathering -> checking -> connected -> failed
//      start()      | success, then USE-CANDIDATE on the best   ^
//                   +---------- no success for kCheckTimeout, or no consent for 30 s
//
// One owner thread. Datagrams to send are handed to the sink at once, inside the
// call that caused them. Credentials are text as in SDP.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "datapath/base/bytes.h"
#include "datapath/base/endpoint.h"
#include "datapath/base/units.h"
#include "datapath/proto/hmac_sha1.h"
#include "datapath/proto/stun.h"

namespace spillway::peer {

// A check is repeated this often until it is answered. RFC 8445 §14.3 wants an RTO of
// at least 500 ms for many pairs; with the one or two of a loopback test less does.
inline constexpr Nanos kCheckInterval = millis(100);
inline constexpr Nanos kCheckTimeout = seconds(15);
// A better candidate gets this long after the first success before one is nominated.
inline constexpr Nanos kNominationPatience = millis(50);
inline constexpr Nanos kConsentInterval = seconds(5);  // RFC 7675 §5.1, times 0.8 .. 1.2
inline constexpr Nanos kConsentTimeout = seconds(30);

struct IceCandidate {
  Endpoint address;
  uint32_t priority = 0;
};

struct IceCredentials {
  std::string ufrag;
  std::string password;
};

enum class IceState : uint8_t { gathering, checking, connected, failed };

class IceAgent {
 public:
  using Sink = std::function<void(const Endpoint& to, Bytes datagram)>;

  IceAgent(IceCredentials local, uint64_t seed, Sink sink);

  // remote: at least one candidate; at most kMaxPairs are used, best first.
  void start(IceCredentials remote, std::vector<IceCandidate> candidates, Nanos now);
  // A datagram classified as STUN. Anything unauthentic is counted and ignored.
  void receive(const Endpoint& from, Bytes datagram, Nanos now);
  void tick(Nanos now);

  IceState state() const { return state_; }
  // The nominated pair's remote address; valid when connected.
  const Endpoint& selected() const { return selected_; }
  // Our address as the server sees it, from its latest answer.
  const Endpoint& mapped() const { return mapped_; }
  Nanos round_trip() const { return round_trip_; }
  uint64_t rejected() const { return rejected_; }
  uint64_t checks_answered() const { return checks_answered_; }

  static constexpr uint32_t kMaxPairs = 8;

 private:
  struct Pair {
    IceCandidate candidate;
    StunTransactionId transaction{};
    bool nominating = false;  // the transaction has USE-CANDIDATE
    bool waiting = false;     // for the answer to the transaction
    bool succeeded = false;
    Nanos sent{};
    Nanos next{};
  };

  void send_check(Pair& pair, bool nominate, Nanos now);
  void on_request(const Endpoint& from, Bytes datagram, const StunMessage& m);
  void on_answer(const Endpoint& from, Bytes datagram, const StunMessage& m, Nanos now);
  Nanos next_consent(Nanos now);

  IceCredentials local_;
  IceCredentials remote_;
  HmacSha1Key local_key_;
  std::optional<HmacSha1Key> remote_key_;
  std::string username_;
  Sink sink_;
  std::minstd_rand jitter_;
  uint64_t tie_breaker_;
  IceState state_ = IceState::gathering;
  std::vector<Pair> pairs_;
  Endpoint selected_;
  Endpoint mapped_;
  Nanos started_{};
  Nanos first_success_{};
  Nanos last_consent_{};
  Nanos round_trip_{};
  uint64_t rejected_ = 0;
  uint64_t checks_answered_ = 0;
};

}  // namespace spillway::peer
