#include "answer_rules.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace spillway::test {
namespace {

struct Section {
  std::string head;                // of "m="
  std::vector<std::string> lines;  // without "m="

  std::vector<std::string> all(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const auto& l : lines)
      if (l.rfind(prefix, 0) == 0) out.push_back(l.substr(prefix.size()));
    return out;
  }
  std::string one(const std::string& prefix) const {
    const auto found = all(prefix);
    return found.empty() ? "" : found.front();
  }
  bool has(const std::string& line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
  std::vector<std::string> words() const {
    std::istringstream in(head);
    std::vector<std::string> out;
    for (std::string w; in >> w;) out.push_back(w);
    return out;
  }
  std::string port() const { return words()[1]; }
  std::vector<std::string> payload_types() const {
    const auto w = words();
    return {w.begin() + 3, w.end()};
  }
};

struct Sdp {
  Section session;
  std::vector<Section> media;
};

Sdp read(std::string_view text) {
  Sdp sdp;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.rfind("m=", 0) == 0) {
      sdp.media.push_back({line.substr(2), {}});
    } else {
      (sdp.media.empty() ? sdp.session : sdp.media.back()).lines.push_back(line);
    }
  }
  return sdp;
}

std::string direction(const Section& s, const Section& session) {
  for (const char* d : {"sendrecv", "sendonly", "recvonly", "inactive"})
    if (s.has(std::string("a=") + d)) return d;
  for (const char* d : {"sendrecv", "sendonly", "recvonly", "inactive"})
    if (session.has(std::string("a=") + d)) return d;
  return "sendrecv";
}

std::string before(const std::string& s, char c) {
  return s.substr(0, s.find(c));
}

class Checker {
 public:
  Checker(std::string_view offer, std::string_view answer, bool publish)
      : text_(answer), offer_(read(offer)), answer_(read(answer)), publish_(publish) {}

  std::vector<std::string> run() {
    whole_text();
    if (offer_.media.size() != answer_.media.size()) {
      fail("number of m-lines");
      return broken_;
    }
    bundle();
    bool tagged = true;
    for (size_t i = 0; i < answer_.media.size(); ++i) {
      where_ = "m-line " + std::to_string(i) + ": ";
      common(offer_.media[i], answer_.media[i]);
      if (answer_.media[i].port() == "0") {
        refused(answer_.media[i]);
      } else {
        accepted(offer_.media[i], answer_.media[i], tagged);
        tagged = false;
      }
    }
    if (tagged) fail("no m-line was accepted");
    return broken_;
  }

 private:
  void fail(const std::string& what) { broken_.push_back(where_ + what); }
  void expect(bool ok, const std::string& what) {
    if (!ok) fail(what);
  }

  void whole_text() {
    expect(text_.size() <= 8192, "longer than 8192 bytes");
    expect(text_.rfind("v=0\r\n", 0) == 0, "begins with v=0");
    expect(text_.size() > 2 && text_.substr(text_.size() - 2) == "\r\n", "ends with CRLF");
    for (size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '\n') expect(i > 0 && text_[i - 1] == '\r', "LF without CR");
      if (text_[i] == '\r') expect(i + 1 < text_.size() && text_[i + 1] == '\n', "CR without LF");
    }
    const auto& s = answer_.session.lines;
    expect(s.size() >= 4 && s[0] == "v=0" && s[2] == "s=-" && s[3] == "t=0 0", "v, o, s=-, t=0 0");
    expect(s.size() >= 2 && std::regex_match(s[1], std::regex(R"(o=- \d{1,19} \d+ IN IP4 [\d.]+)")),
           "o= with a number that fits a signed 64-bit integer");
    expect(answer_.session.has("a=ice-lite"), "ice-lite at session level");
    expect(
        answer_.session.has("a=extmap-allow-mixed") == offer_.session.has("a=extmap-allow-mixed"),
        "session extmap-allow-mixed as offered");
  }

  void bundle() {
    std::string accepted;
    for (const Section& m : answer_.media)
      if (m.port() != "0" && !m.one("a=mid:").empty()) accepted += " " + m.one("a=mid:");
    const auto groups = answer_.session.all("a=group:BUNDLE");
    if (offer_.session.all("a=group:BUNDLE").empty()) {
      expect(groups.empty(), "a BUNDLE group that was not offered");
    } else if (!accepted.empty()) {
      expect(groups.size() == 1 && groups[0] == accepted,
             "BUNDLE names exactly the accepted mids in m-line order");
    }
  }

  void common(const Section& o, const Section& a) {
    expect(o.words()[0] == a.words()[0], "media kind as offered");
    expect(o.words()[2] == a.words()[2], "protocol as offered");
    expect(o.all("a=mid:") == a.all("a=mid:"), "mid as offered");
    int directions = 0;
    for (const auto& l : a.lines)
      directions +=
          l == "a=sendonly" || l == "a=recvonly" || l == "a=sendrecv" || l == "a=inactive";
    expect(directions == 1, "exactly one direction");
    expect(!a.payload_types().empty(), "at least one payload type");
    expect(!a.lines.empty() && a.lines[0].rfind("c=IN IP4 ", 0) == 0, "c= line");
    if (o.words()[0] == "audio" || o.words()[0] == "video") {
      const auto offered = o.payload_types();
      std::set<std::string> seen;
      for (const std::string& pt : a.payload_types()) {
        expect(std::find(offered.begin(), offered.end(), pt) != offered.end(),
               "payload type " + pt + " is of the offer");
        expect(seen.insert(pt).second, "payload type " + pt + " only once");
      }
      for (const auto& map : a.all("a=rtpmap:")) {
        expect(seen.count(before(map, ' ')) == 1, "rtpmap of a listed payload type: " + map);
        const auto maps = o.all("a=rtpmap:" + before(map, ' ') + " ");
        // An offer may leave out a mono "/1".
        const bool same = maps.empty() || maps[0] == map.substr(map.find(' ') + 1) ||
                          maps[0] == map.substr(map.find(' ') + 1) + "/1";
        expect(same, "rtpmap as offered: " + map);
      }
    }
  }

  void refused(const Section& a) {
    expect(a.has("a=inactive"), "refused m-lines are inactive");
    expect(a.all("a=candidate:").empty() && a.all("a=ice-ufrag:").empty(),
           "refused m-lines have no transport");
  }

  void accepted(const Section& o, const Section& a, bool tagged) {
    const std::string offered = direction(o, offer_.session);
    expect(a.has(publish_ ? "a=recvonly" : "a=sendonly"), "direction");
    expect(offered == "sendrecv" || offered == (publish_ ? "sendonly" : "recvonly"),
           "the offered direction can be answered");
    for (const char* one : {"a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"})
      expect(a.all(one).size() == 1, std::string("exactly one ") + one);
    expect(std::regex_match(a.one("a=fingerprint:"),
                            std::regex("sha-256 [0-9A-F]{2}(:[0-9A-F]{2}){31}")),
           "sha-256 fingerprint");
    const std::string setup =
        o.one("a=setup:").empty() ? offer_.session.one("a=setup:") : o.one("a=setup:");
    expect(a.one("a=setup:") == (setup == "passive" ? "active" : "passive"), "setup role");
    expect(a.has("a=rtcp-mux") && a.has("a=rtcp-mux-only"), "rtcp-mux and rtcp-mux-only");
    expect(a.has("a=rtcp-rsize") == o.has("a=rtcp-rsize"), "rtcp-rsize as offered");
    expect(a.has("a=extmap-allow-mixed") == o.has("a=extmap-allow-mixed"),
           "media extmap-allow-mixed as offered");
    candidates(a, tagged);
    payload_types(o, a);
    extensions(o, a);
    publish_ ? layers(o, a) : ssrcs(a);
  }

  void candidates(const Section& a, bool tagged) {
    const auto list = a.all("a=candidate:");
    expect(list.empty() != tagged, "candidates in the BUNDLE-tagged m-line only");
    expect(a.has("a=end-of-candidates") == tagged, "end-of-candidates with the candidates");
    bool v6 = false;
    uint64_t priority = UINT64_MAX;
    for (const std::string& c : list) {
      std::smatch m;
      const std::regex form(R"((\d+) 1 udp (\d+) ([0-9a-f.:]+) (\d+) typ host)");
      if (!std::regex_match(c, m, form)) {
        fail("candidate form: " + c);
        continue;
      }
      const bool is_v6 = m[3].str().find(':') != std::string::npos;
      expect(!v6 || is_v6, "IPv4 candidates before IPv6");
      v6 = is_v6;
      expect(std::stoull(m[2]) < priority, "falling priorities");
      priority = std::stoull(m[2]);
    }
  }

  void payload_types(const Section& o, const Section& a) {
    const auto types = a.payload_types();
    std::map<std::string, std::string> codec;  // payload type -> encoding
    for (const std::string& pt : types) {
      const auto maps = a.all("a=rtpmap:" + pt + " ");
      expect(maps.size() == 1, "exactly one rtpmap for " + pt);
      if (!maps.empty()) codec[pt] = before(maps[0], '/');
      const auto fmtp = a.all("a=fmtp:" + pt + " ");
      expect(fmtp.size() <= 1 && fmtp == o.all("a=fmtp:" + pt + " "), "fmtp as offered for " + pt);
      for (const std::string& fb : a.all("a=rtcp-fb:" + pt + " ")) {
        const auto own = o.all("a=rtcp-fb:" + pt + " ");
        const auto any = o.all("a=rtcp-fb:* ");
        expect(std::count(own.begin(), own.end(), fb) + std::count(any.begin(), any.end(), fb) > 0,
               "feedback was offered: " + pt + " " + fb);
      }
    }
    size_t primaries = 0;
    for (const auto& [pt, name] : codec) {
      if (name == "rtx") {
        const std::string apt = a.one("a=fmtp:" + pt + " ");
        expect(apt.rfind("apt=", 0) == 0 && codec.count(apt.substr(4)) == 1,
               "rtx with its primary");
      } else {
        ++primaries;
      }
    }
    if (publish_ && words_kind(a) == "video")
      expect(primaries == 1, "one video codec for publishers");
    if (!publish_ && words_kind(a) == "audio")
      for (const auto& [pt, name] : codec)
        expect(a.all("a=rtcp-fb:" + pt + " nack").empty(), "no audio NACK without RTX");
  }

  void extensions(const Section& o, const Section& a) {
    std::set<std::string> ids;
    for (const std::string& e : a.all("a=extmap:")) {
      const std::string uri = e.substr(e.find(' ') + 1);
      const std::string id = before(before(e, ' '), '/');
      expect(ids.insert(id).second, "extension id " + id + " once");
      bool found = false;
      for (const std::string& x : o.all("a=extmap:")) {
        std::istringstream in(x);
        std::string offered_id, offered_uri;
        in >> offered_id >> offered_uri;
        found |= before(offered_id, '/') == id && offered_uri == uri;
      }
      expect(found, "extension as offered: " + e);
    }
  }

  void layers(const Section& o, const Section& a) {
    expect(a.all("a=ssrc:").empty() && a.all("a=msid:").empty(),
           "we announce no stream to publishers");
    const std::string simulcast = o.one("a=simulcast:send ");
    if (simulcast.empty()) return;
    expect(a.one("a=simulcast:recv ") == before(simulcast, ' '), "simulcast echoes every rid");
    std::set<std::string> sent, received;
    for (const auto& r : o.all("a=rid:"))
      if (r.find(" send") != std::string::npos) sent.insert(before(r, ' '));
    for (const auto& r : a.all("a=rid:"))
      if (r.find(" recv") != std::string::npos) received.insert(before(r, ' '));
    expect(sent == received, "a=rid recv for every a=rid send");
  }

  void ssrcs(const Section& a) {
    std::set<std::string> ids;
    for (const auto& s : a.all("a=ssrc:")) ids.insert(before(s, ' '));
    for (const auto& id : ids) expect(a.all("a=ssrc:" + id + " cname:").size() == 1, "one cname");
    expect(!ids.empty(), "a=ssrc for viewers");
    expect(a.all("a=msid:").size() == 1, "a=msid for viewers");
    bool rtx = false;
    for (const auto& m : a.all("a=rtpmap:")) rtx |= m.find(" rtx/") != std::string::npos;
    const auto fid = a.all("a=ssrc-group:FID ");
    expect(fid.size() == (rtx ? 1U : 0U), "one FID group exactly with RTX");
    expect(ids.size() == (rtx ? 2U : 1U), "one SSRC, and one for RTX");
    if (!fid.empty())
      for (const auto& id : ids)
        expect(fid[0].find(id) != std::string::npos, "FID names the SSRCs");
  }

  static std::string words_kind(const Section& s) { return s.words()[0]; }

  std::string_view text_;
  Sdp offer_;
  Sdp answer_;
  bool publish_;
  std::string where_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_answer_rules(std::string_view offer, std::string_view answer,
                                             bool publish) {
  return Checker(offer, answer, publish).run();
}

}  // namespace spillway::test
