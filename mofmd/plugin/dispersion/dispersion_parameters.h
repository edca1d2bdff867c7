// The coefficients of D3 for some elements, as mofmd writes them to a file.

#ifndef MOFMD_DISPERSION_PARAMETERS_H
#define MOFMD_DISPERSION_PARAMETERS_H

#include <string>
#include <vector>

namespace mofmd {

struct DispersionElement {
  std::string name;
  double covalent_radius = 0.0;             // Å, scaled by 4/3 as D3 wants it
  double moment = 0.0;                      // C8 = 3 C6 moment moment [Å]
  std::vector<double> reference_numbers;    // coordination numbers of the reference systems
};

struct DispersionParameters {
  std::string method;    // "d3bj:pbe"
  bool zero_damping = false;
  double s6 = 0.0, s8 = 0.0;
  double a1 = 0.0, a2 = 0.0;                  // Becke-Johnson damping: -, Å
  double rs6 = 0.0, rs8 = 0.0, beta = 0.0;    // zero damping: -, -, 1/Å
  std::vector<DispersionElement> elements;
  std::vector<double> radius;             // (elements, elements) R0 [Å]
  std::vector<std::vector<double>> c6;    // (elements, elements) of (references of the
                                          // one, references of the other) [eV Å6]
};

// Throws std::runtime_error that names the file and the line.
DispersionParameters read_dispersion_parameters(const std::string &path);

}    // namespace mofmd

#endif
