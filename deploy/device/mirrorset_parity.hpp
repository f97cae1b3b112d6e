// Packs and runs of mirrorset's parity tests, format version 2 (docs/device-protocol.md).
//
// Header-only C++17 without dependencies. A device opens a pack, shows each net the tensors that
// it holds, and writes a run, which `mirrorset parity ingest` takes in.
//
//     mirrorset::parity::Pack pack("/data/local/tmp/pack");          // every byte is verified
//     mirrorset::parity::RunWriter run(pack, "/data/local/tmp/run");
//     run.add_net("landmarks", {key, "landmarks.tflite"});
//     for (std::size_t item = 0; item < pack.items().size(); ++item) {
//       const auto input = pack.tensor("landmarks", item);
//       … run the model on input.bytes …
//       run.begin_item(item);
//       run.put("landmarks", "points", points.data(), points.size());
//       run.took("landmarks", elapsed_ms);
//     }
//     run.finish();
//
// Whatever goes wrong is an `Error` whose what() is one sentence. A run is whole or absent: it is
// written into a folder beside its own, which takes its name in the end.

#ifndef MIRRORSET_PARITY_HPP_
#define MIRRORSET_PARITY_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <locale>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mirrorset::parity {

namespace fs = std::filesystem;

// What cannot be used, and what to do: one sentence.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Shape = std::vector<std::size_t>;

namespace detail {

// The largest pack.json or items.jsonl that is read into memory.
constexpr std::uintmax_t kLargestText = std::uintmax_t{256} << 20;
constexpr int kDeepestJson = 64;

inline std::size_t times(std::size_t a, std::size_t b, const std::string& where) {
  if (b != 0 && a > std::numeric_limits<std::size_t>::max() / b)
    throw Error(where + " has a shape that is too large: copy the pack again.");
  return a * b;
}

inline std::size_t count_of(const Shape& shape, const std::string& where) {
  std::size_t count = 1;
  for (const std::size_t side : shape) count = times(count, side, where);
  return count;
}

inline std::string words(const Shape& shape) {
  std::string text = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

// --- SHA-256 (FIPS 180-4) ---------------------------------------------------------------------

class Sha256 {
 public:
  void add(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    length_ += size;
    while (size > 0) {
      const std::size_t part = std::min(size, block_.size() - filled_);
      std::memcpy(block_.data() + filled_, bytes, part);
      filled_ += part;
      bytes += part;
      size -= part;
      if (filled_ == block_.size()) digest_block();
    }
  }

  // In hexadecimal; nothing can be added afterwards.
  std::string hex() {
    const std::uint64_t bits = length_ * 8;
    const std::uint8_t one = 0x80, zero = 0;
    add(&one, 1);
    while (filled_ != 56) add(&zero, 1);
    std::array<std::uint8_t, 8> tail{};
    for (std::size_t i = 0; i < tail.size(); ++i)
      tail[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    add(tail.data(), tail.size());
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint32_t word : state_)
      for (int shift = 28; shift >= 0; shift -= 4) text += digits[(word >> shift) & 15];
    return text;
  }

 private:
  static std::uint32_t turned(std::uint32_t word, int by) {
    return (word >> by) | (word << (32 - by));
  }

  void digest_block() {
    static constexpr std::array<std::uint32_t, 64> k = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t byte = 0; byte < 4; ++byte)
        w[i] |= std::uint32_t{block_[4 * i + byte]} << (24 - 8 * static_cast<int>(byte));
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ (a >> 3)) + w[i - 7] +
             (turned(b, 17) ^ turned(b, 19) ^ (b >> 10));
    }
    auto s = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t first = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) +
                                  ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
      const std::uint32_t second = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) +
                                   ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      s = {first + second, s[0], s[1], s[2], s[3] + first, s[4], s[5], s[6]};
    }
    for (std::size_t i = 0; i < s.size(); ++i) state_[i] += s[i];
    filled_ = 0;
  }

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t length_ = 0;
};

// --- JSON (RFC 8259) --------------------------------------------------------------------------

// A value of pack.json. Objects keep the order of their fields; numbers keep their text.
struct Json {
  enum class Kind { null, boolean, number, text, array, object };
  Kind kind = Kind::null;
  bool boolean = false;
  std::string text;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> fields;

  const Json* find(std::string_view name) const {
    for (const auto& field : fields)
      if (field.first == name) return &field.second;
    return nullptr;
  }
};

class JsonParser {
 public:
  JsonParser(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  Json parse() {
    Json value = value_at(0);
    skip_space();
    if (at_ != text_.size()) fail("something follows its end");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    throw Error(where_ + " is not valid JSON (" + fault + " at byte " + std::to_string(at_) +
                "): copy the pack again.");
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  bool took(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void need(char wanted) {
    if (!took(wanted)) fail(std::string("no ") + wanted);
  }

  bool took_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json value_at(int depth) {
    if (depth > kDeepestJson) fail("nested too deeply");
    skip_space();
    Json value;
    if (at_ >= text_.size()) fail("it ends early");
    if (text_[at_] == '{') return object_at(depth);
    if (text_[at_] == '[') return array_at(depth);
    if (text_[at_] == '"') {
      value.kind = Json::Kind::text;
      value.text = string();
    } else if (took_word("true")) {
      value.kind = Json::Kind::boolean;
      value.boolean = true;
    } else if (took_word("false")) {
      value.kind = Json::Kind::boolean;
    } else if (!took_word("null")) {
      value.kind = Json::Kind::number;
      value.text = number();
    }
    return value;
  }

  Json object_at(int depth) {
    Json value;
    value.kind = Json::Kind::object;
    need('{');
    skip_space();
    if (took('}')) return value;
    std::set<std::string> names;
    do {
      skip_space();
      std::string name = string();
      if (!names.insert(name).second) fail("a second field " + name);
      skip_space();
      need(':');
      value.fields.emplace_back(std::move(name), value_at(depth + 1));
      skip_space();
    } while (took(','));
    need('}');
    return value;
  }

  Json array_at(int depth) {
    Json value;
    value.kind = Json::Kind::array;
    need('[');
    skip_space();
    if (took(']')) return value;
    do {
      value.items.push_back(value_at(depth + 1));
      skip_space();
    } while (took(','));
    need(']');
    return value;
  }

  std::string number() {
    const std::size_t start = at_;
    const auto digits = [this] {
      const std::size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      if (at_ == first) fail("no value");
    };
    took('-');
    if (!took('0')) digits();
    if (took('.')) digits();
    if (took('e') || took('E')) {
      if (!took('+')) took('-');
      digits();
    }
    return std::string(text_.substr(start, at_ - start));
  }

  std::string string() {
    need('"');
    std::string value;
    while (!took('"')) {
      if (at_ >= text_.size()) fail("a text that does not end");
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character");
      if (c != '\\') {
        value += c;
        continue;
      }
      if (at_ >= text_.size()) fail("a text that does not end");
      static constexpr std::string_view escapes = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
      const char escape = text_[at_++];
      if (const std::size_t place = escapes.find(escape); place != escapes.npos)
        value += meant[place];
      else if (escape == 'u')
        append_utf8(value, code_point());
      else
        fail("an unknown escape");
    }
    return value;
  }

  std::uint32_t code_point() {
    std::uint32_t code = hex4();
    if (code >= 0xdc00 && code < 0xe000) fail("half a character");
    if (code >= 0xd800 && code < 0xdc00) {
      if (!took_word("\\u")) fail("half a character");
      const std::uint32_t low = hex4();
      if (low < 0xdc00 || low > 0xdfff) fail("half a character");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return code;
  }

  std::uint32_t hex4() {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      static constexpr std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
      if (at_ >= text_.size()) fail("a text that does not end");
      std::size_t digit = lower.find(text_[at_]);
      if (digit == lower.npos) digit = upper.find(text_[at_]);
      if (digit == lower.npos) fail("an unknown escape");
      code = code * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return code;
  }

  static void append_utf8(std::string& value, std::uint32_t code) {
    const auto byte = [&value](std::uint32_t bits) { value += static_cast<char>(bits); };
    if (code < 0x80) {
      byte(code);
    } else if (code < 0x800) {
      byte(0xc0 | (code >> 6));
      byte(0x80 | (code & 63));
    } else if (code < 0x10000) {
      byte(0xe0 | (code >> 12));
      byte(0x80 | ((code >> 6) & 63));
      byte(0x80 | (code & 63));
    } else {
      byte(0xf0 | (code >> 18));
      byte(0x80 | ((code >> 12) & 63));
      byte(0x80 | ((code >> 6) & 63));
      byte(0x80 | (code & 63));
    }
  }

  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
};

// A value with its place in a file, for sentences.
class Field {
 public:
  Field(const Json& value, std::string where) : value_(value), where_(std::move(where)) {}

  Field operator[](std::string_view name) const {
    require(Json::Kind::object, "an object");
    const Json* found = value_.find(name);
    if (found == nullptr) throw Error(where_ + " lacks " + std::string(name) + ": " + advice());
    return Field(*found, where_ + "." + std::string(name));
  }

  bool has(std::string_view name) const { return value_.find(name) != nullptr; }

  const std::string& text() const {
    require(Json::Kind::text, "a text");
    return value_.text;
  }

  std::size_t number() const {
    require(Json::Kind::number, "a number");
    const std::string& digits = value_.text;
    if (digits.size() > 18 || digits.find_first_not_of("0123456789") != digits.npos)
      throw Error(where_ + " is " + digits.substr(0, 40) + ", no whole number: " + advice());
    std::size_t number = 0;
    for (const char digit : digits) number = number * 10 + static_cast<std::size_t>(digit - '0');
    return number;
  }

  std::vector<Field> items() const {
    require(Json::Kind::array, "a list");
    std::vector<Field> found;
    for (std::size_t i = 0; i < value_.items.size(); ++i)
      found.emplace_back(value_.items[i], where_ + "." + std::to_string(i));
    return found;
  }

  std::vector<std::pair<std::string, Field>> fields() const {
    require(Json::Kind::object, "an object");
    std::vector<std::pair<std::string, Field>> found;
    for (const auto& field : value_.fields)
      found.emplace_back(field.first, Field(field.second, where_ + "." + field.first));
    return found;
  }

  Shape shape() const {
    Shape found;
    for (const Field& side : items()) found.push_back(side.number());
    return found;
  }

 private:
  static std::string advice() { return "seal or copy the pack again."; }

  void require(Json::Kind kind, const char* name) const {
    if (value_.kind != kind) throw Error(where_ + " is not " + name + ": " + advice());
  }

  const Json& value_;
  std::string where_;
};

inline std::string quoted(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (json += '\\') += c;
    else if (byte < 0x20)
      ((json += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
    else
      json += c;
  }
  return json + '"';
}

// A number as JSON writes it, whatever the program's locale.
inline std::string number(double value) {
  if (!std::isfinite(value)) throw Error("A time or share that is no number cannot be written.");
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(17);
  out << value;
  return out.str();
}

// --- files ------------------------------------------------------------------------------------

inline std::string text_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) throw Error(path.string() + " cannot be read: copy the pack again.");
  if (size > kLargestText) throw Error(path.string() + " is too large: copy the pack again.");
  std::string text(static_cast<std::size_t>(size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.gcount() != static_cast<std::streamsize>(text.size()))
    throw Error(path.string() + " ends early: copy the pack again.");
  return text;
}

inline std::string file_sha256(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path)) throw Error(path.string() + " cannot be read.");
  Sha256 digest;
  std::vector<char> part(std::size_t{1} << 16);
  while (file) {
    file.read(part.data(), static_cast<std::streamsize>(part.size()));
    digest.add(part.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw Error(path.string() + " cannot be read.");
  return digest.hex();
}

// Whether a path inside a pack stays inside it.
inline bool stays_inside(const std::string& name) {
  if (name.empty() || name.find('\\') != name.npos || name.find('\0') != name.npos) return false;
  std::size_t start = 0;
  while (start <= name.size()) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    const std::string part = name.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

// Whether a stage or an output can name a file.
inline bool is_name(const std::string& name) {
  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
  return !name.empty() && name.find_first_not_of(letters) == name.npos;
}

// --- .npy -------------------------------------------------------------------------------------

inline std::size_t size_of(const std::string& dtype) {
  static const std::map<std::string, std::size_t> sizes = {
      {"uint8", 1}, {"int8", 1}, {"float32", 4}, {"float64", 8}, {"int64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

inline std::string descr_of(const std::string& dtype) {
  static const std::map<std::string, std::string> names = {
      {"uint8", "|u1"}, {"int8", "|i1"}, {"float32", "<f4"}, {"float64", "<f8"}, {"int64", "<i8"}};
  return names.at(dtype);
}

// An array file in rows, read from disk row by row.
class NpyFile {
 public:
  NpyFile(fs::path path, const std::string& dtype, const Shape& row_shape)
      : path_(std::move(path)), row_bytes_(times(count_of(row_shape, path_.string()),
                                                 size_of(dtype), path_.string())) {
    std::ifstream file(path_, std::ios::binary);
    std::array<char, 10> magic{};
    file.read(magic.data(), magic.size());
    if (!file || std::string_view(magic.data(), 6) != "\x93NUMPY") refuse("is no .npy file");
    const int version = magic[6];
    std::size_t length = byte(magic[8]) | byte(magic[9]) << 8;
    begin_ = magic.size();
    if (version == 2 || version == 3) {
      std::array<char, 2> more{};
      file.read(more.data(), more.size());
      length |= byte(more[0]) << 16 | byte(more[1]) << 24;
      begin_ += more.size();
    } else if (version != 1) {
      refuse("is .npy of an unknown version");
    }
    if (length > 65536) refuse("has a header that is too long");
    std::string header(length, '\0');
    file.read(header.data(), static_cast<std::streamsize>(length));
    if (!file) refuse("ends inside its header");
    begin_ += length;
    check_header(header, dtype, row_shape);
    const std::uintmax_t size = fs::file_size(path_);
    if (size != begin_ + times(rows_, row_bytes_, path_.string()))
      refuse("has another size than its header says");
  }

  std::size_t rows() const { return rows_; }

  std::vector<std::uint8_t> row(std::size_t index) const {
    std::vector<std::uint8_t> bytes(row_bytes_);
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(begin_ + index * row_bytes_));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(row_bytes_));
    if (!file) refuse("cannot be read");
    return bytes;
  }

 private:
  [[noreturn]] void refuse(const std::string& fault) const {
    throw Error(path_.string() + " " + fault + ": seal or copy the pack again.");
  }

  static std::size_t byte(char c) { return static_cast<unsigned char>(c); }

  void check_header(const std::string& header, const std::string& dtype, const Shape& row_shape) {
    const std::string descr = value_of(header, "'descr'");
    if (descr != "'" + descr_of(dtype) + "'") refuse("holds " + descr + ", not " + dtype);
    if (value_of(header, "'fortran_order'") != "False") refuse("is not in C order");
    const Shape shape = shape_of(value_of(header, "'shape'"));
    if (shape.empty() || Shape(shape.begin() + 1, shape.end()) != row_shape)
      refuse("has the shape " + words(shape) + ", whose rows are not " + words(row_shape));
    rows_ = shape[0];
  }

  // The text after a key of the header's dictionary, up to what ends it.
  std::string value_of(const std::string& header, const std::string& key) const {
    std::size_t at = header.find(key);
    if (at == header.npos) refuse("has a header without " + key);
    at = header.find(':', at);
    if (at == header.npos) refuse("has a header that ends early");
    at = header.find_first_not_of(' ', at + 1);
    if (at == header.npos) refuse("has a header that ends early");
    const std::size_t end = header[at] == '(' ? header.find(')', at) : header.find_first_of(",}", at);
    if (end == header.npos) refuse("has a header that ends early");
    return header.substr(at, end - at + (header[at] == '(' ? 1 : 0));
  }

  Shape shape_of(const std::string& text) const {
    Shape shape;
    std::string digits;
    for (const char c : text) {
      if (c >= '0' && c <= '9') {
        digits += c;
        if (digits.size() > 15) refuse("has a shape that is too large");
      } else if (c != '(' && c != ')' && c != ',' && c != ' ') {
        refuse("has a header without a shape");
      } else if (!digits.empty()) {
        shape.push_back(static_cast<std::size_t>(std::stoull(digits)));
        digits.clear();
      }
    }
    return shape;
  }

  fs::path path_;
  std::size_t row_bytes_;
  std::size_t begin_ = 0;
  std::size_t rows_ = 0;
};

// An array of a pack: a file for each image shard, whose rows follow each other.
class Rows {
 public:
  Rows() = default;

  // files: with the number of their shard.
  Rows(const std::map<std::size_t, fs::path>& files, const std::string& dtype, const Shape& shape) {
    for (const auto& file : files) files_.emplace_back(file.second, dtype, shape);
  }

  std::size_t count() const {
    std::size_t count = 0;
    for (const NpyFile& file : files_) count += file.rows();
    return count;
  }

  std::vector<std::uint8_t> row(std::size_t index) const {
    for (const NpyFile& file : files_) {
      if (index < file.rows()) return file.row(index);
      index -= file.rows();
    }
    throw Error("There is no row " + std::to_string(index) + ".");
  }

 private:
  std::vector<NpyFile> files_;
};

}  // namespace detail

// sha256 of a file in hexadecimal, such as a key's model_sha256.
inline std::string file_sha256(const fs::path& path) { return detail::file_sha256(path); }

// One input or output: C order, little-endian, without the batch's axis.
struct Tensor {
  std::string dtype;
  Shape shape;
  std::vector<std::uint8_t> bytes;

  // As float32; throws where it holds something else.
  std::vector<float> floats() const {
    if (dtype != "float32") throw Error("The tensor holds " + dtype + ", not float32.");
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
  }
};

struct Output {
  std::string name;
  Shape shape;
};

// A network of the pack's chain. outputs: in the model's own order.
struct Net {
  std::string name;
  std::string model;
  std::string model_sha256;
  std::string dtype;
  std::string layout;
  Shape input_shape;
  std::vector<Output> outputs;
};

struct Item {
  std::string image_id;
  std::string file;
};

// An opened pack. Every file has the sealed checksum, and pack.json its digest.
class Pack {
 public:
  explicit Pack(fs::path folder) : folder_(std::move(folder)) {
    const std::string where = (folder_ / "pack.json").string();
    const std::string text = detail::text_of(folder_ / "pack.json");
    const detail::Json json = detail::JsonParser(text, where).parse();
    const detail::Field record(json, where);
    if (record["format_version"].number() != 2)
      throw Error(where + " is not of format version 2: seal the pack with this version.");
    digest_ = record["digest"].text();
    check_digest(text, where);
    release_ = record["release"].text();
    version_ = record["version"].text();
    review_state_ = record["review_state"].text();
    check_files(record["files"]);
    read_items(record["item_count"].number());
    for (const auto& net : record["nets"].fields())
      read_net(net.first, net.second, record["chain"]["stages"][net.first]);
  }

  const fs::path& folder() const { return folder_; }
  const std::string& digest() const { return digest_; }
  const std::string& release() const { return release_; }
  const std::string& version() const { return version_; }
  const std::string& review_state() const { return review_state_; }
  const std::vector<Item>& items() const { return items_; }
  const std::vector<Net>& nets() const { return nets_; }

  const Net& net(const std::string& name) const {
    for (const Net& each : nets_)
      if (each.name == name) return each;
    throw Error("The pack " + folder_.string() + " has no net " + name + ".");
  }

  // What the net gets of an item: its pixels, each through the table of its channel.
  Tensor tensor(const std::string& name, std::size_t item) const {
    const Net& wanted = net(name);
    const Arrays& own = arrays_.at(name);
    const std::vector<std::uint8_t> pixels = own.inputs.row(item);
    const std::size_t size = detail::size_of(wanted.dtype), plane = pixels.size() / 3;
    Tensor tensor{wanted.dtype, wanted.input_shape, {}};
    tensor.bytes.resize(pixels.size() * size);
    for (std::size_t at = 0; at < pixels.size(); ++at) {
      const std::size_t channel = wanted.layout == "nchw" ? at / plane : at % 3;
      const std::size_t entry = (std::size_t{pixels[at]} * 3 + channel) * size;
      std::memcpy(tensor.bytes.data() + at * size, own.values.data() + entry, size);
    }
    return tensor;
  }

  // The released picture of an item, for a chain that sees pictures.
  fs::path picture(std::size_t item) const { return folder_ / items_.at(item).file; }

  // What the reference kernels gave for an item.
  Tensor reference(const std::string& name, const std::string& output, std::size_t item) const {
    for (const Output& each : net(name).outputs)
      if (each.name == output)
        return {"float32", each.shape, arrays_.at(name).reference.at(output).row(item)};
    throw Error("The net " + name + " has no output " + output + ".");
  }

 private:
  struct Arrays {
    detail::Rows inputs;
    std::vector<std::uint8_t> values;
    std::map<std::string, detail::Rows> reference;
  };

  // The digest is the last field, over all before it, without the spaces between them.
  void check_digest(const std::string& text, const std::string& where) const {
    std::string compact;
    bool is_text = false, is_escaped = false;
    for (const char c : text) {
      if (!is_text && (c == ' ' || c == '\n' || c == '\r' || c == '\t')) continue;
      compact += c;
      if (is_escaped)
        is_escaped = false;
      else if (is_text && c == '\\')
        is_escaped = true;
      else if (c == '"')
        is_text = !is_text;
    }
    const std::string last = ",\"digest\":" + detail::quoted(digest_) + "}";
    bool is_right = compact.size() > last.size() &&
                    compact.compare(compact.size() - last.size(), last.size(), last) == 0;
    if (is_right) {
      compact.replace(compact.size() - last.size(), last.size(), "}");
      detail::Sha256 sha256;
      sha256.add(compact.data(), compact.size());
      is_right = sha256.hex() == digest_;
    }
    if (!is_right) throw Error(where + " was changed after sealing: copy the pack again.");
  }

  void check_files(const detail::Field& files) {
    for (const auto& file : files.fields()) {
      if (!detail::stays_inside(file.first))
        throw Error((folder_ / "pack.json").string() + " names " + detail::quoted(file.first) +
                    ", which is no path inside the pack: do not use it.");
      const fs::path path = folder_ / fs::u8path(file.first);
      if (!fs::is_regular_file(path))
        throw Error(path.string() + " is missing: copy the pack again.");
      if (detail::file_sha256(path) != file.second.text())
        throw Error(path.string() + " was changed after sealing: copy the pack again.");
      files_.insert(file.first);
    }
  }

  void read_items(std::size_t count) {
    const fs::path path = sealed("items.jsonl");
    std::istringstream lines(detail::text_of(path));
    std::set<std::string> ids;
    for (std::string line; std::getline(lines, line);) {
      const std::string where = path.string() + ":" + std::to_string(items_.size() + 1);
      const detail::Json json = detail::JsonParser(line, where).parse();
      const detail::Field item(json, where);
      Item read{item["image_id"].text(), item["file"].text()};
      if (item["index"].number() != items_.size() || !ids.insert(read.image_id).second)
        throw Error(where + " is not the item of its row: seal the pack again.");
      sealed(read.file);
      items_.push_back(std::move(read));
    }
    if (items_.size() != count)
      throw Error(path.string() + " has " + std::to_string(items_.size()) + " items, not " +
                  std::to_string(count) + ": seal the pack again.");
  }

  void read_net(const std::string& name, const detail::Field& field, const detail::Field& stage) {
    require_name(name);
    Net net;
    net.name = name;
    net.model = field["model"]["name"].text();
    net.model_sha256 = field["model"]["sha256"].text();
    net.dtype = field["input_dtype"].text();
    net.layout = stage["input"]["layout"].text();
    net.input_shape = field["input_shape"].shape();
    const std::string where = (folder_ / "nets" / name).string();
    const std::size_t channels =
        net.input_shape.size() == 3 ? net.input_shape[net.layout == "nchw" ? 0 : 2] : 0;
    const bool is_known = net.layout == "nhwc" || net.layout == "nchw";
    if (detail::size_of(net.dtype) == 0 || channels != 3 || !is_known)
      throw Error(where + " takes what this version cannot give: use a newer header.");
    Arrays arrays;
    arrays.inputs = rows(where + "/inputs", "nets/" + name + "/inputs/", "uint8", net.input_shape);
    const detail::NpyFile table(sealed("nets/" + name + "/values.npy"), net.dtype, {3});
    if (table.rows() != 256)
      throw Error(where + "/values.npy has not 256 rows: seal the pack again.");
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto row = table.row(byte);
      arrays.values.insert(arrays.values.end(), row.begin(), row.end());
    }
    for (const detail::Field& named : stage["outputs"].items()) {
      const std::string& output = named.text();
      require_name(output);
      net.outputs.push_back({output, field["outputs"][output].shape()});
      arrays.reference[output] =
          rows(where + "/reference/" + output, "nets/" + name + "/reference/" + output + "/",
               "float32", net.outputs.back().shape);
    }
    nets_.push_back(std::move(net));
    arrays_[name] = std::move(arrays);
  }

  detail::Rows rows(const std::string& where, const std::string& prefix, const std::string& dtype,
                    const Shape& shape) const {
    std::map<std::size_t, fs::path> shards;
    for (auto at = files_.lower_bound(prefix);
         at != files_.end() && at->compare(0, prefix.size(), prefix) == 0; ++at) {
      const std::string stem = at->substr(prefix.size(), at->size() - prefix.size() - 4);
      if (at->compare(at->size() - 4, 4, ".npy") != 0 || stem.empty() || stem.size() > 15 ||
          stem.find_first_not_of("0123456789") != stem.npos)
        throw Error((folder_ / *at).string() + " is no file of an array: seal the pack again.");
      shards[static_cast<std::size_t>(std::stoull(stem))] = folder_ / *at;
    }
    detail::Rows found(shards, dtype, shape);
    if (found.count() != items_.size())
      throw Error(where + " has " + std::to_string(found.count()) + " rows, not " +
                  std::to_string(items_.size()) + ": seal the pack again.");
    return found;
  }

  // The path of a file that was verified.
  fs::path sealed(const std::string& name) const {
    if (files_.count(name) == 0)
      throw Error((folder_ / "pack.json").string() + " does not list " + detail::quoted(name) +
                  ": seal the pack again.");
    return folder_ / fs::u8path(name);
  }

  void require_name(const std::string& name) const {
    if (!detail::is_name(name))
      throw Error((folder_ / "pack.json").string() + " calls a stage or an output " +
                  detail::quoted(name) + ", which is no name: do not use it.");
  }

  fs::path folder_;
  std::string digest_, release_, version_, review_state_;
  std::set<std::string> files_;
  std::vector<Item> items_;
  std::vector<Net> nets_;
  std::map<std::string, Arrays> arrays_;
};

// What ran. Two results with different keys come from different models.
struct Key {
  std::string model_sha256;
  std::string runtime;          // "LiteRT"
  std::string runtime_version;  // "2.3.0"
  std::string kernel;           // "xnnpack", "gpu_cl"
  std::string delegate;         // "XNNPACK", "GPU", "none"
  std::string device;           // "Pixel 8, Android 15"
  int threads = 1;
  std::optional<double> delegated_share;  // nodes that the delegate runs over all, 0 to 1
};

struct RunNet {
  Key key;
  std::string model_file;  // its name
};

// A net that the kernels cannot run. reason: a clause in the runtime's words.
struct NotRunnable {
  Key key;
  std::string model_file;
  std::string reason;
};

enum class Fed { tensors, images };

// Writes a run row by row. Nothing is at `folder` before finish() has ended.
class RunWriter {
 public:
  // fed: whether nets got the pack's tensors or the chain saw the pictures. Throws where `folder`
  // is there and is no run.
  RunWriter(const Pack& pack, fs::path folder, Fed fed = Fed::tensors)
      : pack_(pack), folder_(std::move(folder)), fed_(fed) {
    if (!folder_.has_filename()) folder_ = folder_.parent_path();
    if (fs::exists(folder_) && !fs::is_regular_file(folder_ / "run.json"))
      throw Error(folder_.string() + " is there and is no run: choose another folder.");
    aside_ = beside(".part");
    fs::remove_all(aside_);
    fs::create_directories(aside_);
  }

  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  ~RunWriter() {
    arrays_.clear();
    std::error_code ignored;
    fs::remove_all(aside_, ignored);
  }

  // A net whose outputs will come with every item; before the first of them.
  void add_net(const std::string& net, RunNet what) {
    if (!rows_.empty()) throw Error("A net is added before the first item.");
    for (const Output& output : pack_.net(net).outputs)
      open(net, output.name, "float32", output.shape);
    nets_[net] = std::move(what);
  }

  // Also keep the tensors that the net got, and where the net saw pictures, the maps (2, 3) from
  // xy px of the picture to xy px of its input.
  void keep_inputs(const std::string& net) {
    open(net, "input", pack_.net(net).dtype, pack_.net(net).input_shape);
  }
  void keep_transforms(const std::string& net) { open(net, "transforms", "float64", {2, 3}); }

  void add_not_runnable(const std::string& net, NotRunnable what) {
    pack_.net(net);
    not_runnable_[net] = std::move(what);
  }

  // The next row is of this item of the pack. Items may be left out, and come in any order.
  void begin_item(std::size_t item) {
    end_item();
    const std::string& id = pack_.items().at(item).image_id;
    if (!seen_.insert(id).second) throw Error("The item " + id + " comes a second time.");
    rows_.push_back(id);
  }

  // An output of the item; NaN throughout where the net had nothing to look at.
  void put(const std::string& net, const std::string& output, const float* values,
           std::size_t count) {
    append(net, output, "float32", values, count);
  }
  void put_input(const std::string& net, const Tensor& tensor) {
    const std::size_t size = std::max<std::size_t>(detail::size_of(tensor.dtype), 1);
    append(net, "input", tensor.dtype, tensor.bytes.data(), tensor.bytes.size() / size);
  }
  void put_transform(const std::string& net, const std::array<double, 6>& rows) {
    append(net, "transforms", "float64", rows.data(), rows.size());
  }

  // How long the inference of the item took, of the inference alone, after warm-up.
  void took(const std::string& net, double elapsed_ms) { elapsed_ms_[net].push_back(elapsed_ms); }

  // Ends the run and gives it its name. Throws where an item lacks an output.
  void finish() {
    end_item();
    std::map<std::string, std::string> sha256;
    for (auto& array : arrays_) {
      array.second->finish(rows_.size());
      sha256[array.first] = detail::file_sha256(aside_ / array.first);
    }
    std::ofstream file(aside_ / "run.json", std::ios::binary);
    file << record(sha256) << std::flush;
    if (!file) throw Error((aside_ / "run.json").string() + " cannot be written.");
    file.close();
    const fs::path replaced = beside(".old");
    fs::remove_all(replaced);
    if (fs::exists(folder_)) fs::rename(folder_, replaced);
    fs::rename(aside_, folder_);
    fs::remove_all(replaced);
  }

 private:
  // A .npy file that grows; its header, of fixed size, gets the count of rows in the end.
  class Array {
   public:
    Array(fs::path path, std::string dtype, Shape shape)
        : path_(std::move(path)), dtype_(std::move(dtype)), shape_(std::move(shape)) {
      fs::create_directories(path_.parent_path());
      file_.open(path_, std::ios::binary);
      write_header(0);
    }

    void append(const std::string& dtype, const void* values, std::size_t count) {
      if (dtype != dtype_ || count != detail::count_of(shape_, path_.string()))
        throw Error(path_.filename().string() + " takes " + detail::words(shape_) + " " + dtype_ +
                    ", not " + std::to_string(count) + " values of " + dtype + ".");
      file_.write(static_cast<const char*>(values),
                  static_cast<std::streamsize>(count * detail::size_of(dtype)));
      if (!file_) throw Error(path_.string() + " cannot be written: is the disk full?");
      ++rows_;
    }

    std::size_t rows() const { return rows_; }

    void finish(std::size_t rows) {
      file_.seekp(0);
      write_header(rows);
      file_.close();
      if (!file_) throw Error(path_.string() + " cannot be written: is the disk full?");
    }

   private:
    void write_header(std::size_t rows) {
      Shape shape = shape_;
      shape.insert(shape.begin(), rows);
      std::string header = "{'descr': '" + detail::descr_of(dtype_) +
                           "', 'fortran_order': False, 'shape': " + detail::words(shape) + ", }";
      header.resize(246, ' ');
      header[245] = '\n';
      file_.write("\x93NUMPY\x01\x00\xf6\x00", 10);
      file_ << header;
      if (!file_) throw Error(path_.string() + " cannot be written: is the disk full?");
    }

    fs::path path_;
    std::string dtype_;
    Shape shape_;
    std::ofstream file_;
    std::size_t rows_ = 0;
  };

  fs::path beside(const std::string& ending) const {
    return folder_.parent_path() / ("." + folder_.filename().string() + ending);
  }

  static std::string name_of(const std::string& net, const std::string& array) {
    return "nets/" + net + "/" + array + ".npy";
  }

  void open(const std::string& net, const std::string& array, const std::string& dtype,
            const Shape& shape) {
    const std::string name = name_of(net, array);
    arrays_[name] = std::make_unique<Array>(aside_ / name, dtype, shape);
  }

  void append(const std::string& net, const std::string& array, const std::string& dtype,
              const void* values, std::size_t count) {
    const auto found = arrays_.find(name_of(net, array));
    if (found == arrays_.end()) throw Error("The run keeps no " + array + " of " + net + ".");
    if (found->second->rows() + 1 != rows_.size())
      throw Error("The item has two values of " + net + "/" + array + ", or is not begun.");
    found->second->append(dtype, values, count);
  }

  void end_item() const {
    for (const auto& array : arrays_)
      if (array.second->rows() != rows_.size())
        throw Error("The item " + rows_.back() + " lacks " + array.first + ".");
  }

  static std::string key_json(const Key& key) {
    return "{\"model_sha256\":" + detail::quoted(key.model_sha256) +
           ",\"runtime\":" + detail::quoted(key.runtime) +
           ",\"runtime_version\":" + detail::quoted(key.runtime_version) +
           ",\"kernel\":" + detail::quoted(key.kernel) +
           ",\"delegate\":" + detail::quoted(key.delegate) +
           ",\"device\":" + detail::quoted(key.device) +
           ",\"threads\":" + std::to_string(key.threads) + ",\"delegated_share\":" +
           (key.delegated_share ? detail::number(*key.delegated_share) : "null") + "}";
  }

  std::string latency_json(const std::string& net) const {
    const auto found = elapsed_ms_.find(net);
    if (found == elapsed_ms_.end() || found->second.empty()) return "null";
    std::vector<double> sorted = found->second;
    std::sort(sorted.begin(), sorted.end());
    double sum = 0;
    for (const double ms : sorted) sum += ms;
    // Between neighbours, as numpy's quantile.
    const auto quantile = [&sorted](double share) {
      const double place = share * static_cast<double>(sorted.size() - 1);
      const auto low = static_cast<std::size_t>(place);
      const std::size_t high = std::min(low + 1, sorted.size() - 1);
      return sorted[low] + (sorted[high] - sorted[low]) * (place - static_cast<double>(low));
    };
    return "{\"median_ms\":" + detail::number(quantile(0.5)) + ",\"mean_ms\":" +
           detail::number(sum / static_cast<double>(sorted.size())) +
           ",\"p95_ms\":" + detail::number(quantile(0.95)) + "}";
  }

  std::string record(const std::map<std::string, std::string>& sha256) const {
    std::string json = "{\"format_version\":2,\"pack_digest\":" + detail::quoted(pack_.digest()) +
                       ",\"release\":" + detail::quoted(pack_.release()) +
                       ",\"version\":" + detail::quoted(pack_.version()) +
                       ",\"review_state\":" + detail::quoted(pack_.review_state()) +
                       ",\"fed\":" + (fed_ == Fed::tensors ? "\"tensors\"" : "\"images\"");
    json += ",\"image_ids\":[";
    for (std::size_t row = 0; row < rows_.size(); ++row)
      json += (row ? "," : "") + detail::quoted(rows_[row]);
    json += "],\"nets\":{";
    std::string separator;
    for (const auto& net : nets_) {
      json += separator + detail::quoted(net.first) + ":{\"key\":" + key_json(net.second.key) +
              ",\"model_file\":" + detail::quoted(net.second.model_file) +
              ",\"latency\":" + latency_json(net.first) + "}";
      separator = ",";
    }
    json += "},\"not_runnable\":{";
    separator.clear();
    for (const auto& net : not_runnable_) {
      json += separator + detail::quoted(net.first) + ":{\"key\":" + key_json(net.second.key) +
              ",\"model_file\":" + detail::quoted(net.second.model_file) +
              ",\"reason\":" + detail::quoted(net.second.reason) + "}";
      separator = ",";
    }
    json += "},\"files\":{";
    separator.clear();
    for (const auto& file : sha256) {
      json += separator + detail::quoted(file.first) + ":" + detail::quoted(file.second);
      separator = ",";
    }
    return json + "}}\n";
  }

  const Pack& pack_;
  fs::path folder_, aside_;
  Fed fed_;
  std::vector<std::string> rows_;
  std::set<std::string> seen_;
  std::map<std::string, RunNet> nets_;
  std::map<std::string, NotRunnable> not_runnable_;
  std::map<std::string, std::vector<double>> elapsed_ms_;
  std::map<std::string, std::unique_ptr<Array>> arrays_;
};

}  // namespace mirrorset::parity

#endif  // MIRRORSET_PARITY_HPP_
