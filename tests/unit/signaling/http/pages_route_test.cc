// Pages through the router: served, cached, protected, and switchable.
#include <gmock/gmock.h>

#include "router_fixture.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;

TEST_F(RouterTest, PagesComeWithTypePolicyAndNoCache) {
  for (const char* path : {"/", "/publish/cam", "/watch/cam", "/status"}) {
    const auto r = send(HttpMethod::get, path);
    ASSERT_EQ(r.status, 200) << path;
    EXPECT_THAT(header(r, "Content-Type"), HasSubstr("text/html"));
    EXPECT_EQ(header(r, "Cache-Control"), "no-cache");
    EXPECT_THAT(header(r, "Content-Security-Policy"), HasSubstr("default-src 'none'"));
    EXPECT_EQ(header(r, "X-Content-Type-Options"), "nosniff");
    EXPECT_FALSE(r.body.empty());
    const auto head = send(HttpMethod::head, path);
    EXPECT_EQ(head.head_content_length, r.body.size());
    EXPECT_EQ(send(HttpMethod::post, path).status, 405);
  }
}

TEST_F(RouterTest, PagesCanBeSwitchedOff) {
  options.pages = false;
  EXPECT_EQ(send(HttpMethod::get, "/").status, 404);
  EXPECT_EQ(send(HttpMethod::get, "/watch/cam").status, 404);
  EXPECT_EQ(post_whip().status, 201);
}

}  // namespace
}  // namespace spillway::test
