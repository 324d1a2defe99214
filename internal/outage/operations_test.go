package outage_test

import "slices"

// operations are all that the library offers whose calls can go wrong.
func operations() []*operation {
	return slices.Concat(identityOperations(), manifestOperations(), preflightOperations(), recommendOperations())
}
