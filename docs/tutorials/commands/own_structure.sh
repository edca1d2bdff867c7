cp "$FILES/my-zif.cif" .
mofmd models show zif4-nequip-s
sed 's/^Zn2 Zn .*/& 0.5/; s/_atom_site_fract_z/&\n_atom_site_occupancy/; /^[A-Z][0-9a-z]* [A-Z]/{/ 0.5$/!s/$/ 1/}' my-zif.cif > disordered.cif
mofmd generate minimise --structure disordered.cif --model zif4-nequip-s -o relaxed
grep -v '^H' my-zif.cif > no-hydrogen.cif
mofmd generate minimise --structure no-hydrogen.cif --model zif4-nequip-s -o no-hydrogen
mofmd generate npt --structure my-zif.cif --model zif4-nequip-s --set timestep_fs=2 -o too-fast
mofmd generate minimise --structure uio-66 --model zif4-nequip-s -o other-elements
mofmd generate minimise --structure my-zif.cif --model zif4-nequip-s --supercell 1x1x1 --set minimise_steps_max=60 -o relaxed
mofmd run relaxed
mofmd analyse relaxed/final.data -o relaxed-analysis --observables density,coordination,rings
mofmd generate npt --structure relaxed/final.data --model zif4-nequip-s --supercell 1x1x1 --set time_ps=0.05 --set frame_interval_fs=2.5 --set thermo_interval_fs=2.5 --set minimise_steps_max=0 -o npt
mofmd run npt
mofmd report npt -o npt-report --observables rdf,angles,density,integrity
