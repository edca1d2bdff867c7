// How new the surroundings of an atom are to a model: minus the logarithm of a density of features,
// in units that mean the same for every element and model.
//
//     y = (axes (f - mean), |rest (f - mean)|)    f: features of the atom, y: coordinates
//     p(y) = sum over m of w_m N(y; mu_m, Sigma_m)          one mixture for each element
//     score = (-ln p - median) / (limit - median)           of held-out atoms; 1: as rare as agreed
//
// What an element has no density of is infinitely new. `mofmd learn density fit` writes it
// (mofmd/learning/density); free of torch and LAMMPS.

#ifndef MOFMD_DENSITY_H
#define MOFMD_DENSITY_H

#include <cstddef>
#include <string>
#include <vector>

namespace mofmd {

class Density {
public:
  // Reads the text of a model file's record, for types of these names. Throws ModelError when it is
  // damaged, or was made for another model than the one of this hash.
  Density(const std::string &text, const std::vector<std::string> &type_names,
          const std::string &model_sha256);

  // Features of an atom that it needs.
  std::size_t width() const { return width_; }

  // Score of an atom of this type (counted from 0) with `width` features.
  double score(int type, const double *features) const;

private:
  struct Mixture {
    double median = 0.0, limit = 1.0;    // of -ln p
    std::size_t dimensions = 0;          // of y
    std::vector<double> mean;            // (columns)
    std::vector<double> axes;            // (dimensions, or one less with rest, columns)
    std::vector<double> rest;            // (any number or none, columns)
    std::vector<double> offsets;         // (components) ln w - ln sqrt((2 pi)^dimensions det Sigma)
    std::vector<double> means;           // (components, dimensions)
    std::vector<double> factors;         // (components, dimensions, dimensions) U: Sigma^-1 = U U^T
  };

  std::size_t width_ = 0;
  std::vector<std::size_t> columns_;    // of the features, those that are looked at
  std::vector<Mixture> mixtures_;
  std::vector<int> mixture_of_type_;    // -1: never seen

  std::vector<double> coordinates(const Mixture &mixture, const double *features) const;
  double log_density(const Mixture &mixture, const double *features) const;
};

}    // namespace mofmd

#endif
