// The web pages: plain files of web/, compiled into the program by embed.cmake.
//
// Purpose: a person publishes, watches and looks at the server with nothing but
// a browser. The pages use the public HTTP API like any other client; nothing
// here knows about sessions or media.
// Shape: every body is UTF-8 text that lives as long as the program.
// Errors: an unknown path is std::nullopt (the caller answers 404).
// Threads: everything is constant data; any thread may call, at any time.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace spillway {

// Sent with every page and asset. The pages load scripts, styles and images from
// their own origin only, and talk to nobody else; there is no inline script or
// style, and no string is ever turned into script (trusted types).
// 'blob:' is for the camera preview and for stream snapshots.
inline constexpr std::string_view kPageSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'";

// Values for Cache-Control. Pages are asked for again each time (a player inside
// a frame must not be revived from Firefox's cache); an asset whose address
// carries the build's hash never changes.
inline constexpr std::string_view kPageCacheControl = "no-cache";
inline constexpr std::string_view kAssetCacheControl = "public, max-age=31536000, immutable";

// A stream's name as pages and API take it: [A-Za-z0-9_-]{1,128}.
inline constexpr size_t kMaxStreamNameBytes = 128;
bool is_stream_name(std::string_view name);

struct Page {
  std::string_view content_type;  // value of Content-Type, with charset
  std::string_view body;          // owned by the program, never freed
  bool cacheable;                 // true: kAssetCacheControl, false: kPageCacheControl
};

// path: the request target, "/..."; a query is ignored, percent-encoding is not
// undone (no page has a name that needs it).
//
//   /                      live streams, how to publish and to watch
//   /publish/{stream}      publish from camera, microphone or screen (WHIP)
//   /watch/{stream}        player (WHEP)
//   /status                streams and health, live
//   /assets/{hash}/{file}  cacheable; {hash} is asset_hash()
//   /assets/{file}         the same bytes, not cacheable
//   /favicon.ico           the SVG icon
//
// Answer GET and HEAD alike; other methods are the caller's 405.
std::optional<Page> find_page(std::string_view path);

// Hash over all assets of this build, lower-case hexadecimal.
std::string_view asset_hash();

}  // namespace spillway
