#include "dispersion/dispersion_parameters.h"

#include "dispersion/dispersion_kernel.h"

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace mofmd {

namespace {

  // CODATA 2018, as the programs of D3's authors have them.
  constexpr double BOHR = 0.529177210903;        // Å
  constexpr double HARTREE = 27.211386245988;    // eV
  constexpr double C6_UNIT = HARTREE * BOHR * BOHR * BOHR * BOHR * BOHR * BOHR;
  constexpr const char *FORMAT = "mofmd-d3 1";

  // Lines of words, without comments (#) and empty lines.
  class Reader {
  public:
    explicit Reader(const std::string &path) : path_(path), file_(path)
    {
      if (!file_) throw std::runtime_error("cannot read the file '" + path + "'");
    }

    std::istringstream line()
    {
      for (std::string text; std::getline(file_, text);) {
        ++number_;
        text = text.substr(0, text.find('#'));
        if (text.find_first_not_of(" \t\r") != std::string::npos) return std::istringstream(text);
      }
      ++number_;
      fail("the file ends too early");
    }

    template <typename T> T value(std::istringstream &line, const std::string &what)
    {
      T value{};
      if (!(line >> value)) fail("expected " + what);
      return value;
    }

    void end(std::istringstream &line)
    {
      std::string word;
      if (line >> word) fail("'" + word + "' is one word too many");
    }

    [[noreturn]] void fail(const std::string &what) const
    {
      throw std::runtime_error("'" + path_ + "', line " + std::to_string(number_) + ": " + what +
                               ": `mofmd dispersion` writes such a file");
    }

  private:
    std::string path_;
    std::ifstream file_;
    int number_ = 0;
  };

  void read_damping(Reader &reader, DispersionParameters &parameters)
  {
    std::istringstream line = reader.line();
    const auto kind = reader.value<std::string>(line, "bj or zero");
    if (kind != "bj" && kind != "zero") reader.fail("damping is bj or zero, not '" + kind + "'");
    parameters.zero_damping = kind == "zero";
    std::map<std::string, double *> wanted = {{"s6", &parameters.s6}, {"s8", &parameters.s8}};
    if (parameters.zero_damping)
      wanted.insert(
          {{"rs6", &parameters.rs6}, {"rs8", &parameters.rs8}, {"bet", &parameters.beta}});
    else
      wanted.insert({{"a1", &parameters.a1}, {"a2", &parameters.a2}});
    for (std::string name; line >> name;) {
      const auto found = wanted.find(name);
      if (found == wanted.end()) reader.fail("unknown parameter '" + name + "'");
      *found->second = reader.value<double>(line, "a number for " + name);
      wanted.erase(found);
    }
    if (!wanted.empty()) reader.fail("the parameter " + wanted.begin()->first + " is missing");
    parameters.a2 *= BOHR;
    parameters.beta /= BOHR;
  }

  DispersionElement read_element(Reader &reader)
  {
    std::istringstream line = reader.line();
    DispersionElement element;
    element.name = reader.value<std::string>(line, "the name of an element");
    element.covalent_radius = 4.0 / 3.0 * reader.value<double>(line, "its covalent radius");
    element.moment = BOHR * reader.value<double>(line, "its moment");
    const int count = reader.value<int>(line, "its number of reference systems");
    if (count < 1 || count > MOST_REFERENCES)
      reader.fail("an element has 1 to " + std::to_string(MOST_REFERENCES) + " reference systems");
    for (int k = 0; k < count; ++k)
      element.reference_numbers.push_back(reader.value<double>(line, "a coordination number"));
    reader.end(line);
    return element;
  }

  void read_pair(Reader &reader, DispersionParameters &parameters, std::size_t a, std::size_t b)
  {
    const std::vector<DispersionElement> &elements = parameters.elements;
    std::istringstream line = reader.line();
    const auto first = reader.value<std::string>(line, "the names of two elements");
    const auto second = reader.value<std::string>(line, "the names of two elements");
    if (first != elements[a].name || second != elements[b].name)
      reader.fail("expected the pair " + elements[a].name + " " + elements[b].name);
    const std::size_t count = elements.size();
    const std::size_t rows = elements[a].reference_numbers.size();
    const std::size_t columns = elements[b].reference_numbers.size();
    parameters.radius[a * count + b] = parameters.radius[b * count + a] =
        reader.value<double>(line, "R0 of the pair");
    std::vector<double> &c6 = parameters.c6[a * count + b],
                        &c6_of_ba = parameters.c6[b * count + a];
    c6.resize(rows * columns);
    c6_of_ba.resize(rows * columns);
    for (std::size_t k = 0; k < rows; ++k)
      for (std::size_t m = 0; m < columns; ++m)
        c6[k * columns + m] = c6_of_ba[m * rows + k] =
            C6_UNIT * reader.value<double>(line, "a C6 coefficient");
    reader.end(line);
  }

}    // namespace

DispersionParameters read_dispersion_parameters(const std::string &path)
{
  Reader reader(path);
  DispersionParameters parameters;
  std::istringstream format = reader.line();
  if (format.str().compare(0, std::string(FORMAT).size(), FORMAT) != 0)
    reader.fail("expected '" + std::string(FORMAT) + "': these are no coefficients of D3");
  std::istringstream method = reader.line();
  parameters.method = reader.value<std::string>(method, "the method");
  reader.end(method);
  read_damping(reader, parameters);
  std::istringstream elements = reader.line();
  const auto count = reader.value<std::size_t>(elements, "the number of elements");
  reader.end(elements);
  if (count < 1 || count > 200) reader.fail("expected the number of elements");
  for (std::size_t k = 0; k < count; ++k) parameters.elements.push_back(read_element(reader));
  parameters.radius.resize(count * count);
  parameters.c6.resize(count * count);
  for (std::size_t a = 0; a < count; ++a)
    for (std::size_t b = a; b < count; ++b) read_pair(reader, parameters, a, b);
  return parameters;
}

}    // namespace mofmd
