// The zip archive that TorchScript and AOTInductor files are: read without running anything in it.

#ifndef MOFMD_ARCHIVE_H
#define MOFMD_ARCHIVE_H

#include <map>
#include <string>
#include <vector>

namespace mofmd {

class Archive {
public:
  // Throws ModelError when the file is missing, truncated or no archive.
  explicit Archive(const std::string &path);

  bool is_aotinductor() const;
  // True when code of this Python package (such as "allegro") is part of a TorchScript file.
  bool has_code_of(const std::string &package) const;
  // Metadata as text: TorchScript's extra files, or the flat JSON object of an AOTInductor package.
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  bool has(const std::string &key) const { return metadata_.count(key) != 0; }
  std::string get(const std::string &key) const;    // throws naming the key when absent

private:
  std::string path_;
  std::vector<std::string> records_;
  std::map<std::string, std::string> metadata_;
};

}    // namespace mofmd

#endif
