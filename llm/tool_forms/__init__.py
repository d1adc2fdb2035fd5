"""How families of models write a call of a function, one file each."""
