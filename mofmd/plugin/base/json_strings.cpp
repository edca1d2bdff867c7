#include "base/json_strings.h"

#include <cstdint>
#include <stdexcept>

namespace mofmd {

namespace {

  constexpr int DEEPEST = 100;    // objects and arrays within each other: the stack has an end

  class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    std::map<std::string, std::string> read()
    {
      std::map<std::string, std::string> strings;
      skip_blanks();
      object(0, &strings);
      skip_blanks();
      if (at_ < text_.size()) fail("nothing more");
      return strings;
    }

  private:
    std::string_view text_;
    std::size_t at_ = 0;

    [[noreturn]] void fail(const std::string &expected) const
    {
      throw std::invalid_argument("expected " + expected + " at byte " + std::to_string(at_));
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool take(char character)
    {
      if (peek() != character || at_ >= text_.size()) return false;
      ++at_;
      return true;
    }

    void require(char character)
    {
      if (!take(character)) fail(std::string("'") + character + "'");
    }

    void skip_blanks()
    {
      while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos)
        ++at_;
    }

    // Calls item() for what stands between the brackets, separated by commas.
    template <typename Item> void list(int depth, char open, char close, Item item)
    {
      if (depth > DEEPEST) fail("less than " + std::to_string(DEEPEST) + " levels");
      require(open);
      skip_blanks();
      if (take(close)) return;
      do {
        skip_blanks();
        item();
        skip_blanks();
      } while (take(','));
      require(close);
    }

    // Strings are kept where there is something to keep them in.
    void object(int depth, std::map<std::string, std::string> *strings)
    {
      list(depth, '{', '}', [&] {
        const std::string name = string();
        skip_blanks();
        require(':');
        skip_blanks();
        if (strings) strings->erase(name);
        if (peek() == '"' && strings)
          strings->emplace(name, string());
        else
          value(depth + 1);
      });
    }

    void value(int depth)
    {
      switch (peek()) {
      case '{': return object(depth, nullptr);
      case '[': return list(depth, '[', ']', [&] { value(depth + 1); });
      case '"': string(); return;
      case 't': return literal("true");
      case 'f': return literal("false");
      case 'n': return literal("null");
      default: number();
      }
    }

    void literal(std::string_view word)
    {
      if (text_.substr(at_, word.size()) != word) fail(std::string(word));
      at_ += word.size();
    }

    void digits()
    {
      const auto is_digit = [this] { return peek() >= '0' && peek() <= '9'; };
      if (!is_digit()) fail("a value");
      while (is_digit()) ++at_;
    }

    void number()
    {
      take('-');
      if (!take('0')) digits();
      if (take('.')) digits();
      if (take('e') || take('E')) {
        if (!take('+')) take('-');
        digits();
      }
    }

    std::string string()
    {
      std::string content;
      require('"');
      while (!take('"')) {
        if (at_ >= text_.size()) fail("the end of a string");
        const auto byte = static_cast<unsigned char>(text_[at_]);
        if (byte < 0x20) fail("no control character in a string");
        ++at_;
        if (byte == '\\')
          escape(content);
        else
          content += static_cast<char>(byte);
      }
      return content;
    }

    void escape(std::string &content)
    {
      constexpr std::string_view NAMES = "\"\\/bfnrt", CHARACTERS = "\"\\/\b\f\n\r\t";
      if (take('u')) return append(content, code_point());
      const std::size_t which = at_ < text_.size() ? NAMES.find(text_[at_]) : NAMES.npos;
      if (which == NAMES.npos) fail("an escaped character");
      ++at_;
      content += CHARACTERS[which];
    }

    std::uint32_t four_hex_digits()
    {
      std::uint32_t number = 0;
      for (int k = 0; k < 4; ++k, ++at_) {
        constexpr std::string_view LOWER = "0123456789abcdef", UPPER = "0123456789ABCDEF";
        if (at_ >= text_.size()) fail("four hexadecimal digits");
        std::size_t digit = LOWER.find(text_[at_]);
        if (digit == LOWER.npos) digit = UPPER.find(text_[at_]);
        if (digit == UPPER.npos) fail("four hexadecimal digits");
        number = 16 * number + static_cast<std::uint32_t>(digit);
      }
      return number;
    }

    // UTF-16: what does not fit into one unit is a pair of surrogates.
    std::uint32_t code_point()
    {
      const std::uint32_t first = four_hex_digits();
      if (first < 0xd800 || first > 0xdfff) return first;
      if (first > 0xdbff || !take('\\') || !take('u')) fail("a pair of surrogates");
      const std::uint32_t second = four_hex_digits();
      if (second < 0xdc00 || second > 0xdfff) fail("a pair of surrogates");
      return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    }

    static void append(std::string &content, std::uint32_t point)    // in UTF-8
    {
      const int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
      constexpr std::uint32_t MARKS[] = {0x00, 0xc0, 0xe0, 0xf0};
      content += static_cast<char>(MARKS[more] | (point >> (6 * more)));
      for (int k = more - 1; k >= 0; --k)
        content += static_cast<char>(0x80 | ((point >> (6 * k)) & 0x3f));
    }
  };

}    // namespace

std::map<std::string, std::string> json_strings(std::string_view text)
{
  return Reader(text).read();
}

}    // namespace mofmd
