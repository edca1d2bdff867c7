#include "density/density.h"

#include "base/model_error.h"
#include "base/numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

namespace mofmd {

namespace {

  constexpr std::size_t MOST = 100'000'000;    // numbers; more is damage

  // The words of a record: names, each with the numbers that follow it.
  class Words {
  public:
    explicit Words(const std::string &text) : stream_(text) {}

    std::string word(const char *what)
    {
      std::string found;
      if (!(stream_ >> found)) damaged(std::string("it ends before ") + what);
      return found;
    }

    void expect(const char *name)
    {
      const std::string found = word(name);
      if (found != name) damaged("'" + found + "' in the place of '" + name + "'");
    }

    bool has_more() { return static_cast<bool>(stream_ >> std::ws) && stream_.peek() != EOF; }

    double number(const char *what)
    {
      const std::string text = word(what);
      const std::optional<double> value = read_number<double>(text);
      if (!value || !std::isfinite(*value))
        damaged("'" + text + "' in the place of a number of " + what);
      return *value;
    }

    std::size_t count(const char *what, double least = 1.0)
    {
      const double value = number(what);
      if (value < least || value > static_cast<double>(MOST) || value != std::floor(value))
        damaged(to_text(value) + " " + what);
      return static_cast<std::size_t>(value);
    }

    std::vector<double> numbers(const char *name, std::size_t size)
    {
      expect(name);
      if (size > MOST) damaged(std::string("too many ") + name);
      std::vector<double> values(size);
      for (double &value : values) value = number(name);
      return values;
    }

    [[noreturn]] static void damaged(const std::string &how)
    {
      throw ModelError("its density of features is damaged (" + how +
                       "): fit it again with `mofmd learn density fit`");
    }

  private:
    std::istringstream stream_;
  };

}    // namespace

Density::Density(const std::string &text, const std::vector<std::string> &type_names,
                 const std::string &model_sha256)
{
  Words words(text);
  words.expect("mofmd_density");
  if (words.word("a version") != "1")
    throw ModelError("its density of features is of a kind that this version of mofmd does not "
                     "know: update mofmd");
  words.expect("model");
  if (words.word("a hash") != model_sha256)
    throw ModelError("its density of features was made for another model: fit it again with "
                     "`mofmd learn density fit`");
  words.expect("quantile");
  words.number("quantile");
  words.expect("width");
  width_ = words.count("features");
  words.expect("columns");
  const std::size_t num_columns = words.count("columns");
  for (std::size_t k = 0; k < num_columns; ++k) {
    const double column = words.number("columns");
    if (column < 0.0 || column >= static_cast<double>(width_) || column != std::floor(column))
      Words::damaged("column " + to_text(column) + " of " + to_text(static_cast<double>(width_)) +
                     " features");
    columns_.push_back(static_cast<std::size_t>(column));
  }
  mixture_of_type_.assign(type_names.size(), -1);
  while (words.has_more()) {
    words.expect("element");
    const std::string name = words.word("an element");
    Mixture mixture;
    mixture.median = words.numbers("median", 1)[0];
    mixture.limit = words.numbers("limit", 1)[0];
    if (!(mixture.limit > mixture.median)) Words::damaged("limits of " + name);
    words.expect("dimensions");
    const std::size_t d = mixture.dimensions = words.count("dimensions");
    words.expect("rest_axes");
    const std::size_t num_rest = words.count("rest_axes", 0.0);
    const std::size_t num_axes = num_rest > 0 ? d - 1 : d;
    words.expect("components");
    const std::size_t m = words.count("components");
    mixture.mean = words.numbers("mean", num_columns);
    mixture.axes = words.numbers("axes", num_axes * num_columns);
    mixture.rest = words.numbers("rest", num_rest * num_columns);
    const std::vector<double> weights = words.numbers("weights", m);
    mixture.means = words.numbers("means", m * d);
    mixture.factors = words.numbers("factors", m * d * d);
    for (std::size_t c = 0; c < m; ++c) {
      constexpr double LOG_2_PI = 1.8378770664093454836;
      double offset = std::log(weights[c]) - 0.5 * static_cast<double>(d) * LOG_2_PI;
      for (std::size_t k = 0; k < d; ++k) offset += std::log(mixture.factors[(c * d + k) * d + k]);
      if (!std::isfinite(offset)) Words::damaged("a component of " + name);
      mixture.offsets.push_back(offset);
    }
    const auto type = std::find(type_names.begin(), type_names.end(), name);
    if (type == type_names.end())
      Words::damaged("it has the element " + name + ", which the model does not know");
    mixture_of_type_[type - type_names.begin()] = static_cast<int>(mixtures_.size());
    mixtures_.push_back(std::move(mixture));
  }
}

std::vector<double> Density::coordinates(const Mixture &mixture, const double *features) const
{
  const std::size_t num_columns = columns_.size();
  std::vector<double> centred(num_columns), y;
  for (std::size_t k = 0; k < num_columns; ++k)
    centred[k] = features[columns_[k]] - mixture.mean[k];
  const auto along = [&centred](const double *axis) {
    return std::inner_product(centred.begin(), centred.end(), axis, 0.0);
  };
  for (std::size_t i = 0; i < mixture.axes.size(); i += num_columns)
    y.push_back(along(&mixture.axes[i]));
  if (mixture.rest.empty()) return y;
  double square = 0.0;
  for (std::size_t i = 0; i < mixture.rest.size(); i += num_columns) {
    const double part = along(&mixture.rest[i]);
    square += part * part;
  }
  y.push_back(std::sqrt(square));
  return y;
}

double Density::log_density(const Mixture &mixture, const double *features) const
{
  const std::size_t d = mixture.dimensions;
  const std::vector<double> y = coordinates(mixture, features);
  std::vector<double> away(d), terms;
  for (std::size_t c = 0; c < mixture.offsets.size(); ++c) {
    for (std::size_t i = 0; i < d; ++i) away[i] = y[i] - mixture.means[c * d + i];
    double square = 0.0;
    for (std::size_t j = 0; j < d; ++j) {    // |away U|^2, U upper triangular
      double part = 0.0;
      for (std::size_t i = 0; i <= j; ++i) part += away[i] * mixture.factors[(c * d + i) * d + j];
      square += part * part;
    }
    terms.push_back(mixture.offsets[c] - 0.5 * square);
  }
  const double largest = *std::max_element(terms.begin(), terms.end());
  if (!std::isfinite(largest)) return largest;
  double sum = 0.0;
  for (const double term : terms) sum += std::exp(term - largest);
  return largest + std::log(sum);
}

double Density::score(int type, const double *features) const
{
  const int which = mixture_of_type_.at(type);
  if (which < 0) return std::numeric_limits<double>::infinity();
  const Mixture &mixture = mixtures_[which];
  return (-log_density(mixture, features) - mixture.median) / (mixture.limit - mixture.median);
}

}    // namespace mofmd
