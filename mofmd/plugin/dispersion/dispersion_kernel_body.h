// The kernels of dispersion_kernel.h for LANES numbers at a time. For the files dispersion_*.cpp
// alone, which are compiled for a processor each.

#include "dispersion/dispersion_kernel.h"

namespace mofmd {

namespace {

  typedef double Lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
  typedef std::int64_t LaneBits __attribute__((vector_size(8 * LANES)));

  struct Arithmetic {
    using Number = Lanes;

    MOFMD_TERM static Lanes root(Lanes v)
    {
      Lanes result;
      for (int l = 0; l < LANES; ++l) result[l] = __builtin_sqrt(v[l]);
      return result;
    }

    MOFMD_TERM static Lanes choose(LaneBits condition, Lanes a, Lanes b)
    {
      return condition ? a : b;
    }

    // exp(v) for v < 700, and 0 below -700: 2^n exp(f) with |f| < ln(2)/2. A number of the size of
    // 2^52 has n in its last bits. Right to two units in the last place.
    MOFMD_TERM static Lanes exponential(Lanes v)
    {
      constexpr double lowest = -700.0, round = 6755399441055744.0;    // 1.5 * 2^52
      constexpr double inverse_ln2 = 1.4426950408889634;
      constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
      const Lanes shifted = v * inverse_ln2 + round, n = shifted - round;
      const Lanes f = (v - n * ln2_high) - n * ln2_low;
      Lanes p = f * (1.0 / 6227020800.0) + 1.0 / 479001600.0;    // the series, from f^13 / 13! on
      p = p * f + 1.0 / 39916800.0;
      p = p * f + 1.0 / 3628800.0;
      p = p * f + 1.0 / 362880.0;
      p = p * f + 1.0 / 40320.0;
      p = p * f + 1.0 / 5040.0;
      p = p * f + 1.0 / 720.0;
      p = p * f + 1.0 / 120.0;
      p = p * f + 1.0 / 24.0;
      p = p * f + 1.0 / 6.0;
      p = p * f + 0.5;
      p = p * f + 1.0;
      p = p * f + 1.0;
      const LaneBits bits = (LaneBits)p + ((LaneBits)shifted << 52);
      return v < lowest ? Lanes{} : (Lanes)bits;
    }
  };

  MOFMD_TERM double sum(Lanes v)
  {
    double total = 0.0;
    for (int l = 0; l < LANES; ++l) total += v[l];
    return total;
  }

  MOFMD_TERM Lanes load(const double *at)
  {
    return *reinterpret_cast<const Lanes *>(at);
  }

  // Squared distances of LANES sites from a centre.
  struct Separation {
    Lanes x, y, z, r2;
  };
  MOFMD_TERM Separation separation(const DispersionJob &job, const double *centre,
                                   std::int64_t site)
  {
    Separation d;
    d.x = load(job.x + site) - centre[0];
    d.y = load(job.y + site) - centre[1];
    d.z = load(job.z + site) - centre[2];
    d.r2 = d.x * d.x + d.y * d.y + d.z * d.z;
    return d;
  }

  // Force on a centre and its part of the virial, from gradients q: dE_pair/dr = q r.
  template <bool wants_virial> struct ForceSums {
    Lanes x{}, y{}, z{}, xx{}, yy{}, zz{}, xy{}, xz{}, yz{};

    MOFMD_TERM void add(const Separation &d, Lanes q)
    {
      const Lanes qx = q * d.x, qy = q * d.y, qz = q * d.z;
      x += qx;
      y += qy;
      z += qz;
      if (!wants_virial) return;
      xx += qx * d.x;
      yy += qy * d.y;
      zz += qz * d.z;
      xy += qx * d.y;
      xz += qx * d.z;
      yz += qy * d.z;
    }

    // A centre has half of a pair's virial, its neighbour the other half.
    MOFMD_TERM void store(const DispersionJob &job, std::int64_t c) const
    {
      const double force[3] = {sum(x), sum(y), sum(z)};
      for (int d = 0; d < 3; ++d) job.force[3 * c + d] += force[d];
      if (!wants_virial) return;
      const double virial[6] = {sum(xx), sum(yy), sum(zz), sum(xy), sum(xz), sum(yz)};
      for (int d = 0; d < 6; ++d) job.virial[6 * c + d] -= 0.5 * virial[d];
    }
  };

  struct Centre {
    std::int64_t number, site;
    int kind;
    double position[3];

    MOFMD_TERM Centre(const DispersionJob &job, std::int64_t c) :
        number(c),
        site(job.centre_site[c]),
        kind(job.centre_kind[c]),
        position{job.x[site], job.y[site], job.z[site]}
    {
    }
  };

  // Calls act(first of LANES sites) for all sites of a kind that are near a centre.
  template <typename Act> MOFMD_TERM void for_sites(const DispersionJob &job, const NearSites &near,
                                                    std::int64_t centre, int kind, Act act)
  {
    const long long *const first = near.first + centre * job.num_kinds + kind;
    for (long long k = first[0]; k < first[1]; ++k)
      for (std::int64_t s = near.items[k].first; s < near.items[k].past; s += LANES) act(s);
  }

  void count_neighbours(const DispersionJob &job, std::int64_t begin, std::int64_t end)
  {
    for (std::int64_t c = begin; c < end; ++c) {
      const Centre centre(job, c);
      Lanes total{};
      for (int kind = 0; kind < job.num_kinds; ++kind) {
        const PairTerms pair = job.pairs[centre.kind * job.num_kinds + kind];
        for_sites(job, job.bonded, c, kind, [&](std::int64_t s) __attribute__((always_inline)) {
          const Separation d = separation(job, centre.position, s);
          total += counting_term<Arithmetic>(pair, job.coordination_range, d.r2).value;
        });
      }
      job.coordination[c] = sum(total);
    }
  }

  // Weights of the reference systems: exp(-4 (CN - CN_ref)^2), normalised. The largest is taken out
  // of numerator and denominator, so that an atom far from all of its references has the nearest.
  void weigh_references(const DispersionJob &job, int kind, std::int64_t begin, std::int64_t end)
  {
    const std::int64_t stride = job.kind_begin[kind + 1] - job.kind_begin[kind];
    const double *const reference = job.reference_numbers + kind * MOST_REFERENCES;
    const int count = job.num_references[kind];
    for (std::int64_t s = begin; s < end; s += LANES) {
      const Lanes cn = load(job.of_site + job.kind_begin[kind] + s);
      Lanes nearest = (cn - reference[0]) * (cn - reference[0]);
      for (int b = 1; b < count; ++b) {
        const Lanes distance = (cn - reference[b]) * (cn - reference[b]);
        nearest = Arithmetic::choose(distance < nearest, distance, nearest);
      }
      Lanes weight[MOST_REFERENCES], total{};
      for (int b = 0; b < count; ++b) {
        const Lanes distance = (cn - reference[b]) * (cn - reference[b]);
        weight[b] = Arithmetic::exponential(WEIGHT_STEEPNESS * (nearest - distance));
        total += weight[b];
      }
      for (int b = 0; b < count; ++b)
        *reinterpret_cast<Lanes *>(
            job.weights + MOST_REFERENCES * static_cast<std::int64_t>(job.kind_begin[kind]) +
            b * stride + s) = weight[b] / total;
    }
  }

  // A centre's part of C6 with an element's references, and of dC6/dCN: C6 is the sum of these
  // over the references b, each times the neighbour's weight.
  struct CentreC6 {
    double c6[MOST_REFERENCES], slope[MOST_REFERENCES];
  };
  MOFMD_TERM CentreC6 centre_c6(const DispersionJob &job, const Centre &centre, int kind)
  {
    const std::int64_t stride = job.kind_begin[centre.kind + 1] - job.kind_begin[centre.kind];
    const double *const weights =
        job.weights + MOST_REFERENCES * static_cast<std::int64_t>(job.kind_begin[centre.kind]) +
        centre.site - job.kind_begin[centre.kind];
    const double *const reference = job.reference_numbers + centre.kind * MOST_REFERENCES;
    const int count = job.num_references[centre.kind];
    double mean = 0.0;
    for (int a = 0; a < count; ++a) mean += weights[a * stride] * reference[a];
    CentreC6 result{};
    const double *const table =
        job.c6 + (centre.kind * job.num_kinds + kind) * MOST_REFERENCES * MOST_REFERENCES;
    for (int a = 0; a < count; ++a) {
      const double weight = weights[a * stride];
      const double slope = 2.0 * WEIGHT_STEEPNESS * weight * (reference[a] - mean);
      for (int b = 0; b < MOST_REFERENCES; ++b) {
        result.c6[b] += weight * table[a * MOST_REFERENCES + b];
        result.slope[b] += slope * table[a * MOST_REFERENCES + b];
      }
    }
    return result;
  }

  // Sums over the sites of a kind near a centre. The energy is -C6 f for each pair.
  template <bool wants_virial> struct PairSums {
    Lanes c6f{}, slope_f{};
    ForceSums<wants_virial> force;
  };

  template <int references, bool zero_damping, bool wants_virial> MOFMD_TERM void
  add_pairs(const DispersionJob &job, const Centre &centre, int kind, PairSums<wants_virial> &sums)
  {
    const CentreC6 of_centre = centre_c6(job, centre, kind);
    const PairTerms pair = job.pairs[centre.kind * job.num_kinds + kind];
    const std::int64_t begin = job.kind_begin[kind], stride = job.kind_begin[kind + 1] - begin;
    const double *const weights = job.weights + MOST_REFERENCES * begin - begin;
    for_sites(job, job.near, centre.number, kind,
              [&](std::int64_t s) __attribute__((always_inline)) {
                const Separation d = separation(job, centre.position, s);
                const Term<Arithmetic> f =
                    damped_term<Arithmetic, zero_damping>(pair, job.energy_range, d.r2);
                Lanes c6{}, slope{};
                for (int b = 0; b < references; ++b) {
                  const Lanes weight = load(weights + b * stride + s);
                  c6 += of_centre.c6[b] * weight;
                  slope += of_centre.slope[b] * weight;
                }
                sums.c6f += c6 * f.value;
                sums.slope_f += slope * f.value;
                sums.force.add(d, -c6 * f.slope);
              });
  }

  template <bool zero_damping, bool wants_virial>
  MOFMD_TERM void sum_pairs_of(const DispersionJob &job, std::int64_t begin, std::int64_t end)
  {
    for (std::int64_t c = begin; c < end; ++c) {
      const Centre centre(job, c);
      PairSums<wants_virial> sums;
      for (int kind = 0; kind < job.num_kinds; ++kind) switch (job.num_references[kind]) {
        case 1: add_pairs<1, zero_damping>(job, centre, kind, sums); break;
        case 2: add_pairs<2, zero_damping>(job, centre, kind, sums); break;
        case 3: add_pairs<3, zero_damping>(job, centre, kind, sums); break;
        case 4: add_pairs<4, zero_damping>(job, centre, kind, sums); break;
        case 5: add_pairs<5, zero_damping>(job, centre, kind, sums); break;
        case 6: add_pairs<6, zero_damping>(job, centre, kind, sums); break;
        default: add_pairs<MOST_REFERENCES, zero_damping>(job, centre, kind, sums); break;
        }
      job.energy[c] = -0.5 * sum(sums.c6f);
      job.by_coordination[c] = -sum(sums.slope_f);
      sums.force.store(job, c);
    }
  }

  void sum_pairs(const DispersionJob &job, std::int64_t begin, std::int64_t end)
  {
    if (job.zero_damping)
      job.virial ? sum_pairs_of<true, true>(job, begin, end)
                 : sum_pairs_of<true, false>(job, begin, end);
    else
      job.virial ? sum_pairs_of<false, true>(job, begin, end)
                 : sum_pairs_of<false, false>(job, begin, end);
  }

  // Forces by way of the coordination numbers: dE/dCN of both ends times dCN/dr.
  template <bool wants_virial> MOFMD_TERM void
  add_chain_forces_of(const DispersionJob &job, std::int64_t begin, std::int64_t end)
  {
    for (std::int64_t c = begin; c < end; ++c) {
      const Centre centre(job, c);
      const double of_centre = job.by_coordination[c];
      ForceSums<wants_virial> force;
      for (int kind = 0; kind < job.num_kinds; ++kind) {
        const PairTerms pair = job.pairs[centre.kind * job.num_kinds + kind];
        for_sites(job, job.bonded, c, kind, [&](std::int64_t s) __attribute__((always_inline)) {
          const Separation d = separation(job, centre.position, s);
          const Lanes slope = counting_term<Arithmetic>(pair, job.coordination_range, d.r2).slope;
          force.add(d, (of_centre + load(job.of_site + s)) * slope);
        });
      }
      force.store(job, c);
    }
  }

  void add_chain_forces(const DispersionJob &job, std::int64_t begin, std::int64_t end)
  {
    job.virial ? add_chain_forces_of<true>(job, begin, end)
               : add_chain_forces_of<false>(job, begin, end);
  }

}    // namespace

}    // namespace mofmd
