mofmd analyse zif-4 -o crystal --observables rings,pores,density
mofmd analyse first -o all --observables rdf,angles,coordination,density,integrity,rings,pores,msd
mofmd analyse first -o fine --observables rdf,rings --set rdf.pairs=Zn-N,Zn-Zn --set rdf.bin_width_A=0.1 --set rings.depth=16 --interval rings=0.02
mofmd report first -o beside --observables rings,pores,density --beside crystal=crystal
