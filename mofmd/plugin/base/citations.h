// What to cite for each family, in BibTeX, for LAMMPS's citation log.

#ifndef MOFMD_CITATIONS_H
#define MOFMD_CITATIONS_H

namespace mofmd {

inline const char *const NEQUIP_CITATION =
    "pair_style nequip: doi:10.1038/s41467-022-29939-5\n\n"
    "@Article{Batzner2022,\n"
    " author = {S. Batzner and A. Musaelian and L. Sun and M. Geiger and J. P. Mailoa and\n"
    "   M. Kornbluth and N. Molinari and T. E. Smidt and B. Kozinsky},\n"
    " title = {{E(3)}-Equivariant Graph Neural Networks for Data-Efficient and Accurate\n"
    "   Interatomic Potentials},\n"
    " journal = {Nature Communications}, year = 2022, volume = 13, pages = {2453}\n"
    "}\n\n";

inline const char *const ALLEGRO_CITATION =
    "pair_style allegro: doi:10.1038/s41467-023-36329-y\n\n"
    "@Article{Musaelian2023,\n"
    " author = {A. Musaelian and S. Batzner and A. Johansson and L. Sun and C. J. Owen and\n"
    "   M. Kornbluth and B. Kozinsky},\n"
    " title = {Learning Local Equivariant Representations for Large-Scale Atomistic Dynamics},\n"
    " journal = {Nature Communications}, year = 2023, volume = 14, pages = {579}\n"
    "}\n\n";

inline const char *const MACE_CITATION =
    "pair_style mace: doi:10.48550/arXiv.2206.07697\n\n"
    "@InProceedings{Batatia2022,\n"
    " author = {I. Batatia and D. P. Kovacs and G. N. C. Simm and C. Ortner and G. Csanyi},\n"
    " title = {{MACE}: Higher Order Equivariant Message Passing Neural Networks for Fast and\n"
    "   Accurate Force Fields},\n"
    " booktitle = {Advances in Neural Information Processing Systems}, year = 2022, volume = 35\n"
    "}\n\n";

inline const char *const SEVENNET_CITATION =
    "pair_style sevennet: doi:10.1021/acs.jctc.4c00190\n\n"
    "@Article{Park2024,\n"
    " author = {Y. Park and J. Kim and S. Hwang and S. Han},\n"
    " title = {Scalable Parallel Algorithm for Graph Neural Network Interatomic Potentials in\n"
    "   Molecular Dynamics Simulations},\n"
    " journal = {Journal of Chemical Theory and Computation}, year = 2024, volume = 20,\n"
    " pages = {4857}\n"
    "}\n\n";

inline const char *const D3_CITATION =
    "pair_style d3: doi:10.1063/1.3382344, doi:10.1002/jcc.21759\n\n"
    "@Article{Grimme2010,\n"
    " author = {S. Grimme and J. Antony and S. Ehrlich and H. Krieg},\n"
    " title = {A Consistent and Accurate Ab Initio Parametrization of Density Functional\n"
    "   Dispersion Correction ({DFT-D}) for the 94 Elements {H-Pu}},\n"
    " journal = {The Journal of Chemical Physics}, year = 2010, volume = 132, pages = {154104}\n"
    "}\n\n"
    "@Article{Grimme2011,\n"
    " author = {S. Grimme and S. Ehrlich and L. Goerigk},\n"
    " title = {Effect of the Damping Function in Dispersion Corrected Density Functional Theory},\n"
    " journal = {Journal of Computational Chemistry}, year = 2011, volume = 32, pages = {1456}\n"
    "}\n\n";

}    // namespace mofmd

#endif
