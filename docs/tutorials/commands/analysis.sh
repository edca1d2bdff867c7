mofmd analyse glass -o all --observables rdf,angles,coordination,density,integrity,rings,pores,msd,scattering
mofmd analyse glass -o fine --observables rdf,rings --set rdf.pairs=Zn-N,Zn-Zn --set rdf.bin_width_A=0.02 --set rings.depth=16 --interval rings=0.1
mofmd analyse zif-4 -o crystal --observables rings,pores,density
mofmd report glass -o beside --observables rings,pores,density --beside crystal=crystal
