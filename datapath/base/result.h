// Result<T>: a value or an Error, for faults of the environment and for input
// that deserves an explanation. Packet parsers use std::optional or a closed
// enum instead: they run per packet and need no text.
//
// std::expected is not available with clang 14 (see README.md).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "datapath/base/assert.h"

namespace spillway {

// What failed, for a human: the call or rule, its arguments, and a hint what to
// change. `code` is errno where the system said no, else 0.
struct Error {
  std::string text;
  int code = 0;
};

// Error with strerror(errno) appended: errno_error("bind 0.0.0.0:3478").
Error errno_error(const std::string& what);
Error errno_error(const std::string& what, int errno_value);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T v) : v_(std::in_place_index<0>, std::move(v)) {}      // NOLINT: implicit by design
  Result(Error e) : v_(std::in_place_index<1>, std::move(e)) {}  // NOLINT: implicit by design

  explicit operator bool() const { return v_.index() == 0; }
  bool ok() const { return v_.index() == 0; }
  T& value() & {
    SPILLWAY_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  const T& value() const& {
    SPILLWAY_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  T&& value() && {
    SPILLWAY_ASSERT(ok());
    return std::move(*std::get_if<0>(&v_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    SPILLWAY_ASSERT(!ok());
    return *std::get_if<1>(&v_);
  }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error e) : e_(std::move(e)) {}  // NOLINT: implicit by design
  explicit operator bool() const { return !e_; }
  bool ok() const { return !e_; }
  const Error& error() const {
    SPILLWAY_ASSERT(!ok());
    return *e_;
  }

 private:
  std::optional<Error> e_;
};

}  // namespace spillway
