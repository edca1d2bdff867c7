// The kernels of D3 as a GPU runs them; dispersion_gpu.cpp carries this text, behind that of
// gpu_program.h's device_functions and dispersion_terms.h. A team of threads has a centre. Included
// by no other file.

using namespace mofmd;

struct DeviceArithmetic {
  typedef double Number;
  MOFMD_TERM static double root(double v) { return sqrt(v); }
  MOFMD_TERM static double exponential(double v) { return exp(v); }
  MOFMD_TERM static double choose(bool condition, double a, double b) { return condition ? a : b; }
};

struct DeviceSeparation {
  double x, y, z, r2;
};

MOFMD_TERM DeviceSeparation separation(const DispersionJob &job, int centre, int site)
{
  DeviceSeparation d;
  d.x = job.x[site] - job.x[centre];
  d.y = job.y[site] - job.y[centre];
  d.z = job.z[site] - job.z[centre];
  d.r2 = d.x * d.x + d.y * d.y + d.z * d.z;
  return d;
}

// Calls act(kind, site) for this thread's part of the sites near a centre.
template <typename Act> MOFMD_TERM void for_sites(const DispersionJob &job, const NearSites &near,
                                                  long long centre, int kind, Act act)
{
  const long long *first = near.first + centre * job.num_kinds + kind;
  for (long long k = first[0]; k < first[1]; ++k)
    for (int site = near.items[k].first + lane(); site < near.items[k].past; site += TEAM)
      act(site);
}

KERNEL count_neighbours(const DispersionJob job)
{
  const long long c = team();
  if (c >= job.num_centres) return;
  const int centre = job.centre_site[c];
  double total = 0;
  for (int kind = 0; kind < job.num_kinds; ++kind) {
    const PairTerms pair = job.pairs[job.centre_kind[c] * job.num_kinds + kind];
    for_sites(job, job.bonded, c, kind, [&](int site) {
      const DeviceSeparation d = separation(job, centre, site);
      total += counting_term<DeviceArithmetic>(pair, job.coordination_range, d.r2).value;
    });
  }
  total = team_sum(total);
  if (lane() == 0) job.coordination[c] = total;
}

// A team has a run of a kind's sites, TEAM of them.
KERNEL weigh_references(const DispersionJob job, int kind)
{
  const long long begin = job.kind_begin[kind], stride = job.kind_begin[kind + 1] - begin;
  const long long s = team() * TEAM + lane();
  if (s >= stride) return;
  const double cn = job.of_site[begin + s];
  const double *reference = job.reference_numbers + kind * MOST_REFERENCES;
  double *weights = job.weights + MOST_REFERENCES * begin + s;
  double nearest = (cn - reference[0]) * (cn - reference[0]), total = 0;
  for (int b = 1; b < job.num_references[kind]; ++b) {
    const double distance = (cn - reference[b]) * (cn - reference[b]);
    nearest = distance < nearest ? distance : nearest;
  }
  for (int b = 0; b < job.num_references[kind]; ++b) {
    const double distance = (cn - reference[b]) * (cn - reference[b]);
    weights[b * stride] = exp(WEIGHT_STEEPNESS * (nearest - distance));
    total += weights[b * stride];
  }
  for (int b = 0; b < job.num_references[kind]; ++b) weights[b * stride] /= total;
}

struct DeviceSums {
  double value[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};    // force, virial

  MOFMD_TERM void add_gradient(const DeviceSeparation &d, double q)
  {
    const double qx = q * d.x, qy = q * d.y, qz = q * d.z;
    const double terms[9] = {qx,       qy,       qz,       qx * d.x, qy * d.y,
                             qz * d.z, qx * d.y, qx * d.z, qy * d.z};
    for (int k = 0; k < 9; ++k) value[k] += terms[k];
  }

  MOFMD_TERM void store(const DispersionJob &job, long long c)
  {
    for (int k = 0; k < 9; ++k) {
      if (k >= 3 && !job.virial) break;
      const double sum = team_sum(value[k]);
      if (lane() > 0) continue;
      if (k < 3)
        job.force[3 * c + k] += sum;
      else
        job.virial[6 * c + k - 3] -= 0.5 * sum;
    }
  }
};

KERNEL sum_pairs(const DispersionJob job)
{
  const long long c = team();
  if (c >= job.num_centres) return;
  const int centre = job.centre_site[c], own = job.centre_kind[c];
  const long long own_begin = job.kind_begin[own], own_stride = job.kind_begin[own + 1] - own_begin;
  const double *own_weights = job.weights + MOST_REFERENCES * own_begin + (centre - own_begin);
  const double *reference = job.reference_numbers + own * MOST_REFERENCES;
  double mean = 0;
  for (int a = 0; a < job.num_references[own]; ++a)
    mean += own_weights[a * own_stride] * reference[a];

  double c6f = 0, slope_f = 0;
  DeviceSums sums;
  for (int kind = 0; kind < job.num_kinds; ++kind) {
    const long long begin = job.kind_begin[kind], stride = job.kind_begin[kind + 1] - begin;
    const PairTerms pair = job.pairs[own * job.num_kinds + kind];
    const double *table = job.c6 + (own * job.num_kinds + kind) * MOST_REFERENCES * MOST_REFERENCES;
    double centre_c6[MOST_REFERENCES], centre_slope[MOST_REFERENCES];
    for (int b = 0; b < MOST_REFERENCES; ++b) {
      centre_c6[b] = centre_slope[b] = 0;
      for (int a = 0; a < job.num_references[own]; ++a) {
        const double weight = own_weights[a * own_stride];
        centre_c6[b] += weight * table[a * MOST_REFERENCES + b];
        centre_slope[b] +=
            2 * WEIGHT_STEEPNESS * weight * (reference[a] - mean) * table[a * MOST_REFERENCES + b];
      }
    }
    for_sites(job, job.near, c, kind, [&](int site) {
      const DeviceSeparation d = separation(job, centre, site);
      const Term<DeviceArithmetic> f =
          job.zero_damping ? damped_term<DeviceArithmetic, true>(pair, job.energy_range, d.r2)
                           : damped_term<DeviceArithmetic, false>(pair, job.energy_range, d.r2);
      const double *weights = job.weights + MOST_REFERENCES * begin + (site - begin);
      double c6 = 0, slope = 0;
      for (int b = 0; b < job.num_references[kind]; ++b) {
        c6 += centre_c6[b] * weights[b * stride];
        slope += centre_slope[b] * weights[b * stride];
      }
      c6f += c6 * f.value;
      slope_f += slope * f.value;
      sums.add_gradient(d, -c6 * f.slope);
    });
  }
  c6f = team_sum(c6f);
  slope_f = team_sum(slope_f);
  if (lane() == 0) {
    job.energy[c] = -0.5 * c6f;
    job.by_coordination[c] = -slope_f;
  }
  sums.store(job, c);
}

KERNEL add_chain_forces(const DispersionJob job)
{
  const long long c = team();
  if (c >= job.num_centres) return;
  const int centre = job.centre_site[c];
  DeviceSums sums;
  for (int kind = 0; kind < job.num_kinds; ++kind) {
    const PairTerms pair = job.pairs[job.centre_kind[c] * job.num_kinds + kind];
    for_sites(job, job.bonded, c, kind, [&](int site) {
      const DeviceSeparation d = separation(job, centre, site);
      const double slope =
          counting_term<DeviceArithmetic>(pair, job.coordination_range, d.r2).slope;
      sums.add_gradient(d, (job.by_coordination[c] + job.of_site[site]) * slope);
    });
  }
  sums.store(job, c);
}
