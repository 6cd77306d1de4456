"""Connected systems: the contract that each fulfils, and the ones that ship."""
