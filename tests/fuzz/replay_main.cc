// Runs one fuzz target over files, for builds without libFuzzer: every argument is a
// file, or a folder of them. Each input is copied to memory of exactly its size, so that
// address sanitizer sees a read past the end. Inputs are also cut at each length, which
// finds most unchecked reads without a fuzzer.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void run(const std::vector<char>& input, size_t size) {
  std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  std::copy_n(input.begin(), size, exact.get());
  LLVMFuzzerTestOneInput(exact.get(), size);
}

bool replay(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  std::vector<char> input{std::istreambuf_iterator<char>(in), {}};
  constexpr size_t kCutsMax = 2048;
  for (size_t size = 0; size < std::min(input.size(), kCutsMax); ++size) run(input, size);
  run(input, input.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    std::filesystem::path path(argv[i]);
    if (!std::filesystem::is_directory(path)) {
      if (!replay(path)) return 1;
      ++files;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      if (!replay(entry.path())) return 1;
      ++files;
    }
  }
  if (files == 0) {
    std::fprintf(stderr, "no inputs: name files or a folder that has some\n");
    return 1;
  }
  std::printf("%zu inputs replayed, each also cut at every length\n", files);
  return 0;
}
