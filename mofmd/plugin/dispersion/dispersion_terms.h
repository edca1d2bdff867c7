// The terms of the D3 sums, written once for numbers and for vectors of numbers: the CPU's kernels
// compile them, and those for GPUs carry their text. Free of headers. What they need of a processor
// is in the type `M`: M::Number, M::root(v), M::exponential(v) and M::choose(condition, v, v).
//
// S. Grimme, J. Antony, S. Ehrlich, H. Krieg, J. Chem. Phys. 132, 154104 (2010); S. Grimme,
// S. Ehrlich, L. Goerigk, J. Comput. Chem. 32, 1456 (2011); D. G. A. Smith et al., J. Phys. Chem.
// Lett. 7, 2197 (2016): `shift`.

#ifndef MOFMD_DISPERSION_TERMS_H
#define MOFMD_DISPERSION_TERMS_H

#ifndef MOFMD_TERM
#define MOFMD_TERM [[gnu::always_inline]] inline
#endif

namespace mofmd {

// A sum goes to `cutoff` and is smooth there: its terms are multiplied by a function that falls
// from 1 to 0 between `start` and `cutoff`, with two continuous derivatives.
struct SumRange {
  double cutoff;           // Å
  double start;            // Å
  double inverse_width;    // 1/(cutoff - start); 0: the sum ends with a step
};

// Of a pair of elements. The energy of a pair of atoms is -C6 f(r), with Becke-Johnson damping
//     f(r) = s6 / (r^6 + damping6) + c8 / (r^8 + damping8),
// with zero damping, where u_n = damping_n r + shift,
//     f(r) = s6 r^-6 / (1 + 6 u_6^-14) + c8 r^-8 / (1 + 6 u_8^-16).
struct PairTerms {
  double s6;
  double c8;          // s8 C8 / C6 [Å2]
  double damping6;    // R^6 [Å6], or 1 / (r_s6 R0) [1/Å]
  double damping8;    // R^8 [Å8], or 1 / (r_s8 R0) [1/Å]
  double shift;
  double covalent;    // k1 (R_cov + R_cov) [Å]
};

constexpr int MOST_REFERENCES = 7;    // reference systems of an element

// Sites first ... past - 1. Reading up to MOST_LANES - 1 sites beyond is allowed: they are atoms
// out of reach, or none.
struct SiteRange {
  int first, past;
};

// Ranges of the sites of kind k that are near the centre c: items[first[c * num_kinds + k]] up to
// where the next one begins.
struct NearSites {
  const long long *first;
  const SiteRange *items;
};

// Atoms and ghosts as sites: those of a kind (an element) lie side by side, so that what depends on
// the kinds of a pair is the same for a run of sites. Centres are the owned atoms.
struct DispersionJob {
  int num_kinds;
  int num_centres;
  const int *kind_begin;    // (num_kinds + 1) sites of a kind, filler sites included
  const int *num_references;
  const double *reference_numbers;    // (num_kinds, MOST_REFERENCES) coordination numbers
  const double *c6;                   // (kinds, kinds, MOST_REFERENCES, MOST_REFERENCES) [eV Å6]
  const PairTerms *pairs;             // (num_kinds, num_kinds)
  SumRange energy_range, coordination_range;
  bool zero_damping;

  const double *x, *y, *z;    // of sites
  const int *centre_site, *centre_kind;
  NearSites near, bonded;

  double *coordination;     // (centres)
  const double *of_site;    // CN of sites while pairs are summed, then dE/dCN
  // of sites: reference b of the site s of kind k at
  // MOST_REFERENCES kind_begin[k] + b (kind_begin[k + 1] - kind_begin[k]) + (s - kind_begin[k])
  double *weights;
  double *energy;             // (centres) [eV]
  double *by_coordination;    // (centres) dE/dCN
  double *force;              // (centres, 3)
  double *virial;             // (centres, 6), or nullptr
};

template <typename M> struct Term {
  typename M::Number value;
  typename M::Number slope;    // its derivative, divided by r
};

constexpr double COUNTING_STEEPNESS = 16.0;    // k1
constexpr double WEIGHT_STEEPNESS = 4.0;       // k3

template <typename M> MOFMD_TERM void end_smoothly(const SumRange &range, typename M::Number r,
                                                   typename M::Number inverse_r, Term<M> &term)
{
  using V = typename M::Number;
  const V zero = r - r;
  V t = (r - range.start) * range.inverse_width;
  t = M::choose(t > zero, t, zero);
  const V factor = 1.0 - t * t * t * (10.0 - t * (15.0 - 6.0 * t));
  const V slope = -30.0 * range.inverse_width * inverse_r * (t * (1.0 - t)) * (t * (1.0 - t));
  term.slope = term.slope * factor + term.value * slope;
  term.value = term.value * factor;
}

// f(r), and nothing beyond the cutoff or of an atom with itself.
template <typename M, bool zero_damping>
MOFMD_TERM Term<M> damped_term(const PairTerms &pair, const SumRange &range, typename M::Number r2)
{
  using V = typename M::Number;
  Term<M> term;
  const V r = M::root(r2), r4 = r2 * r2;
  V inverse_r;
  if (zero_damping) {
    inverse_r = 1.0 / r;
    const V inverse_r2 = inverse_r * inverse_r, inverse_r6 = inverse_r2 * inverse_r2 * inverse_r2;
    const V u6 = pair.damping6 * r + pair.shift, u8 = pair.damping8 * r + pair.shift;
    const V inverse_u6u8 = 1.0 / (u6 * u8);
    const V v6 = inverse_u6u8 * u8, v8 = inverse_u6u8 * u6;    // 1 / u
    const V v6_2 = v6 * v6, v6_4 = v6_2 * v6_2, v8_2 = v8 * v8, v8_4 = v8_2 * v8_2;
    const V power6 = 6.0 * v6_4 * v6_4 * v6_4 * v6_2, power8 = 6.0 * (v8_4 * v8_4) * (v8_4 * v8_4);
    const V inverse = 1.0 / ((1.0 + power6) * (1.0 + power8));
    const V damp6 = inverse * (1.0 + power8), damp8 = inverse * (1.0 + power6);
    const V term6 = pair.s6 * inverse_r6 * damp6, term8 = pair.c8 * inverse_r6 * inverse_r2 * damp8;
    term.value = term6 + term8;
    term.slope = inverse_r * (term6 * (14.0 * pair.damping6 * v6 * power6 * damp6) +
                              term8 * (16.0 * pair.damping8 * v8 * power8 * damp8)) -
                 inverse_r2 * (6.0 * term6 + 8.0 * term8);
  } else {
    const V r6 = r4 * r2, sum6 = r6 + pair.damping6, sum8 = r4 * r4 + pair.damping8;
    const V both = sum6 * sum8;
    V inverse = 1.0 / (both * r);    // one division for three
    inverse_r = inverse * both;
    inverse = inverse * r;
    const V inverse6 = inverse * sum8, inverse8 = inverse * sum6;
    const V term6 = pair.s6 * inverse6, term8 = pair.c8 * inverse8;
    term.value = term6 + term8;
    term.slope = -r4 * (6.0 * (term6 * inverse6) + 8.0 * r2 * (term8 * inverse8));
  }
  end_smoothly(range, r, inverse_r, term);
  const V zero = r2 - r2;
  const auto counts = (r2 < range.cutoff * range.cutoff) & (r2 > zero);
  term.value = M::choose(counts, term.value, zero);
  term.slope = M::choose(counts, term.slope, zero);
  return term;
}

// What a neighbour adds to a coordination number: 1 / (1 + exp(-k1 (R / r - 1))).
template <typename M> MOFMD_TERM Term<M> counting_term(const PairTerms &pair, const SumRange &range,
                                                       typename M::Number r2)
{
  using V = typename M::Number;
  Term<M> term;
  const V r = M::root(r2), zero = r2 - r2;
  const auto counts = (r2 < range.cutoff * range.cutoff) & (r2 > zero);
  const V inverse_r = 1.0 / M::choose(counts, r, zero + range.cutoff);
  const V ratio = pair.covalent * inverse_r;
  const V power = M::exponential(COUNTING_STEEPNESS - ratio);
  term.value = 1.0 / (1.0 + power);
  term.slope = -(term.value * term.value) * power * ratio * (inverse_r * inverse_r);
  end_smoothly(range, r, inverse_r, term);
  term.value = M::choose(counts, term.value, zero);
  term.slope = M::choose(counts, term.slope, zero);
  return term;
}

}    // namespace mofmd

#endif
