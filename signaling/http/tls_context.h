// TLS 1.2+ server context from two PEM files (H34). Used by listener.cc only.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "datapath/base/result.h"

namespace spillway {

// Checks that the key belongs to the certificate. ALPN: http/1.1, or nothing.
Result<std::shared_ptr<boost::asio::ssl::context>> load_tls_context(
    const std::string& certificate_file, const std::string& key_file);

}  // namespace spillway
