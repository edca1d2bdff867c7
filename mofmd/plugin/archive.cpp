#include "archive.h"

#include "model.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <cctype>
#include <fstream>

namespace mofmd {

namespace {

  bool ends_with(const std::string &text, const std::string &end)
  {
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
  }

  // Reads one JSON object whose members are all strings, which is what AOTInductor writes; members
  // of another type are skipped.
  class FlatJson {
  public:
    explicit FlatJson(const std::string &text) : text_(text) {}

    std::map<std::string, std::string> read()
    {
      std::map<std::string, std::string> members;
      while (seek_string()) {
        std::string key = string();
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
        if (at_ >= text_.size() || text_[at_] != ':') continue;
        ++at_;
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
        if (at_ < text_.size() && text_[at_] == '"') members[key] = string();
      }
      return members;
    }

  private:
    const std::string &text_;
    std::size_t at_ = 0;

    bool seek_string()
    {
      at_ = text_.find('"', at_);
      return at_ != std::string::npos;
    }

    std::string string()
    {
      std::string value;
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
          ++at_;
          value += text_[at_] == 'n' ? '\n' : text_[at_];
        } else
          value += text_[at_];
      }
      if (at_ < text_.size()) ++at_;
      return value;
    }
  };

}    // namespace

Archive::Archive(const std::string &path) : path_(path)
{
  if (!std::ifstream(path).good()) throw ModelError("cannot open the model file '" + path + "'");
  try {
    caffe2::serialize::PyTorchStreamReader reader(path);
    records_ = reader.getAllRecords();
    const auto text = [&reader](const std::string &name) {
      const auto [data, size] = reader.getRecord(name);
      return std::string(static_cast<const char *>(data.get()), size);
    };
    for (const std::string &name : records_) {
      if (name.compare(0, 6, "extra/") == 0)
        metadata_[name.substr(6)] = text(name);
      else if (name.find("aotinductor/") != std::string::npos && ends_with(name, "_metadata.json"))
        metadata_.merge(FlatJson(text(name)).read());
    }
  } catch (const std::exception &) {
    throw ModelError("the model file '" + path +
                     "' is truncated, corrupt or not a model file (it is no archive as "
                     "torch writes it): copy it again from its source");
  }
}

bool Archive::is_aotinductor() const
{
  return std::any_of(records_.begin(), records_.end(), [](const std::string &name) {
    return name.find("aotinductor/") != std::string::npos;
  });
}

bool Archive::has_code_of(const std::string &package) const
{
  const std::string prefix = "code/__torch__/" + package + "/";
  return std::any_of(records_.begin(), records_.end(), [&prefix](const std::string &name) {
    return name.compare(0, prefix.size(), prefix) == 0;
  });
}

std::string Archive::get(const std::string &key) const
{
  const auto entry = metadata_.find(key);
  if (entry == metadata_.end())
    throw ModelError("the model file '" + path_ + "' does not record its '" + key + "'");
  return entry->second;
}

}    // namespace mofmd
