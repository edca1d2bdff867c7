#include "model/archive.h"

#include "base/json_strings.h"
#include "base/model_error.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <fstream>

namespace mofmd {

namespace {

  bool ends_with(const std::string &text, const std::string &end)
  {
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
  }

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
        metadata_.merge(json_strings(text(name)));
    }
  } catch (const std::invalid_argument &error) {
    throw ModelError("the metadata of the model file '" + path + "' are damaged (no JSON: " +
                     error.what() + "): copy it again from its source, or deploy it again");
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
