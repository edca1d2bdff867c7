"""Units: LAMMPS ``metal`` inside (Å, ps, eV, K, bar, g/mol); every conversion lives here.

Constants are CODATA 2018 values, exact since the 2019 revision of the SI where marked.
"""

ELEMENTARY_CHARGE_C = 1.602176634e-19  # exact
AVOGADRO_PER_MOL = 6.02214076e23  # exact
BOLTZMANN_J_PER_K = 1.380649e-23  # exact

BOLTZMANN_EV_PER_K = BOLTZMANN_J_PER_K / ELEMENTARY_CHARGE_C
EV_TO_KJ_PER_MOL = ELEMENTARY_CHARGE_C * AVOGADRO_PER_MOL / 1e3
FS_TO_PS = 1e-3
PS_TO_NS = 1e-3
BAR_TO_GPA = 1e-4
BAR_TO_EV_PER_A3 = 1.0 / 1.6021765e6  # LAMMPS's own constant of units metal
EV_PER_A3_TO_GPA = ELEMENTARY_CHARGE_C * 1e30 / 1e9
G_PER_MOL_A3_TO_G_PER_CM3 = 1e24 / AVOGADRO_PER_MOL
MIB = 1048576.0  # bytes
EV_PER_G_PER_MOL_TO_A2_PER_PS2 = ELEMENTARY_CHARGE_C * AVOGADRO_PER_MOL * 1e3 * 1e-4
