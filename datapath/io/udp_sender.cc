#include "datapath/io/udp_sender.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>

namespace spillway {

namespace {

bool gso_known(int fd) {
  int value = 0;
  socklen_t len = sizeof value;
  return ::getsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, &len) == 0;
}

bool may_be_gso_fault(int error) {
  return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP;
}

}  // namespace

UdpSender::UdpSender(MediaFds fds, PacketIoStats& stats)
    : fds_(fds), stats_(stats), chunk_(new Chunk()) {
  // A kernel without the option would ignore the request and send one huge datagram.
  gso_enabled_ = gso_known(fds.v4 >= 0 ? fds.v4 : fds.v6);
  for (uint32_t i = 0; i < kChunk; ++i) {
    msghdr& h = chunk_->headers[i].msg_hdr;
    h.msg_name = &chunk_->names[i];
    h.msg_iov = &chunk_->pieces[i];
    h.msg_iovlen = 1;
  }
}

void UdpSender::send(TxBatch& batch) {
  for (const auto& run : batch.runs()) {
    if (run.segments == 1 || gso_enabled_) {
      add(run, 0, run.bytes, run.segments);
      continue;
    }
    ++stats_.gso_fallbacks;
    for (uint32_t at = 0; at < run.bytes; at += run.segment_bytes)
      add(run, at, std::min(run.segment_bytes, run.bytes - at), 1);
  }
  flush();
  batch.clear();
}

void UdpSender::add(const TxBatch::Run& run, uint32_t offset, uint32_t bytes, uint32_t segments) {
  const bool v4 = run.path.remote.ip.is_v4();
  if ((v4 ? fds_.v4 : fds_.v6) < 0) {
    account(EAFNOSUPPORT, segments, bytes);
    return;
  }
  if (chunk_->count == kChunk) flush();
  Chunk& c = *chunk_;
  const uint32_t i = c.count++;
  msghdr& h = c.headers[i].msg_hdr;
  h.msg_namelen = to_sockaddr(run.path.remote, c.names[i]);
  c.pieces[i] = {run.data + offset, bytes};
  const auto segment_bytes = static_cast<uint16_t>(segments > 1 ? run.segment_bytes : 0);
  h.msg_controllen = write_control(run.path.local.ip, v4, segment_bytes, c.controls[i]);
  h.msg_control = h.msg_controllen > 0 ? &c.controls[i] : nullptr;
  c.runs[i] = &run;
  c.segments[i] = segments;
  c.v4[i] = v4;
}

void UdpSender::flush() {
  Chunk& c = *chunk_;
  if (c.count == 0) return;
  submit(c);
  const TxBatch::Run* refused[kChunk];
  uint32_t refused_count = 0;
  for (uint32_t i = 0; i < c.count; ++i) {
    if (c.segments[i] > 1) {
      if (may_be_gso_fault(c.errors[i])) {
        refused[refused_count++] = c.runs[i];
        continue;
      }
      if (c.errors[i] == 0) gso_faults_in_row_ = 0;
    }
    account(c.errors[i], c.segments[i], static_cast<uint32_t>(c.pieces[i].iov_len));
  }
  c.count = 0;
  for (uint32_t i = 0; i < refused_count; ++i) resend_singly(*refused[i]);
}

void UdpSender::resend_singly(const TxBatch::Run& run) {
  Chunk& c = *chunk_;
  add(run, 0, run.segment_bytes, 1);
  submit(c);
  c.count = 0;
  if (c.errors[0] != 0) {
    account(c.errors[0], run.segments, run.bytes);
    return;
  }
  account(0, 1, run.segment_bytes);
  ++stats_.gso_fallbacks;
  if (++gso_faults_in_row_ >= kGsoFaultsMax) gso_enabled_ = false;
  for (uint32_t at = run.segment_bytes; at < run.bytes; at += run.segment_bytes)
    add(run, at, std::min(run.segment_bytes, run.bytes - at), 1);
  flush();  // single segments only: does not come back here
}

void UdpSender::account(int error, uint32_t segments, uint32_t bytes) {
  if (error == 0) {
    stats_.tx_datagrams += segments;
    stats_.tx_bytes += bytes;
    ++stats_.tx_messages;
  } else if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
    stats_.tx_dropped_full += segments;
  } else {
    stats_.tx_dropped_error += segments;
  }
}

}  // namespace spillway
